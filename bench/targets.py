"""What Tern wants to reach, judged from the results."""

import dataclasses
import math
import operator
import statistics
import typing

import workloads


class Results:
    """{case: {peer: [a dict of metrics, or None, for each round]}}, and {peer: metrics} of HELLO."""

    def __init__(self, runs):
        self.runs = runs
        self.hello = {}

    def values(self, case, peer, metric):
        rounds = self.runs.get(case, {}).get(peer, [])
        return [values.get(metric) if values else None for values in rounds]

    def median(self, case, peer, metric):
        known = [value for value in self.values(case, peer, metric) if value is not None]
        return statistics.median(known) if known else None

    def ratio(self, case, metric, peer, other, other_case=None, other_metric=None):
        """The median of the rounds' ratios."""
        ratios = [
            a / b
            for a, b in zip(
                self.values(case, peer, metric),
                self.values(other_case or case, other, other_metric or metric),
            )
            if a is not None and b
        ]
        return statistics.median(ratios) if ratios else None

    def best(self, case, name):
        """The name of that peer, or of the one with which it competes and which is better."""
        metric = next(c for c in workloads.CASES if c.name == case).metrics[0]
        names = [
            p.name
            for p in workloads.PEERS
            if p.name == name or (p.comes_with == name and p.competes)
        ]
        known = {n: self.median(case, n, metric.key) for n in names}
        known = {n: value for n, value in known.items() if value is not None}
        if not known:
            return name
        return (max if metric.higher_is_better else min)(known, key=known.get)


@dataclasses.dataclass(frozen=True)
class Target:
    workload: str
    text: str
    compare: typing.Callable
    limit: float
    value: typing.Callable  # Of Results; None when something was not measured.

    def verdict(self, results):
        """(text, value or None, met or None)"""
        value = self.value(results)
        sign = ">=" if self.compare is operator.ge else "<="
        text = f"{self.workload}: {self.text} {sign} {self.limit:g}"
        return text, value, None if value is None else self.compare(value, self.limit)


def _of(case, metric, peer):
    return lambda r: r.ratio(case, metric, "tern", r.best(case, peer))


def _of_raw(case, metric):
    return _of(case, metric, "raw")


def _median(case, metric):
    return lambda r: r.median(case, "tern", metric)


def _instructions(results, case, peer):
    user = results.median(case, peer, "user_instructions")
    kernel = results.median(case, peer, "kernel_instructions")
    return None if user is None or kernel is None else user + kernel


def _instructions_of_raw(results):
    tern, raw = (_instructions(results, "W1c", peer) for peer in ("tern", "raw"))
    return tern / raw if tern and raw else None


def _scattering(results):
    costs = [
        results.median(case.name, "tern", "server_cpu_us")
        for case in workloads.CASES
        if case.workload == "W8"
    ]
    return max(costs) / min(costs) if all(costs) else None


def _blocked(count):
    return lambda r: r.ratio(f"HOL{count}", "p99_us", "tern", "tern", other_case="HOL0")


# Of the calls/s that were to be made. Below, a p99 near the p50 only says that all were late.
_LEAST_KEPT = 0.95


def _open_loop(results):
    kept = results.median("W9", "tern", "rate_kept")
    if kept is not None and kept < _LEAST_KEPT:
        return math.inf
    return results.ratio("W9", "p99_us", "tern", "tern", other_metric="p50_us")


def _co_threads(results):
    added = [results.median("CO", p, "threads_added") for p in ("tern-timer", "tern-child")]
    return max(added) if None not in added else None


def _hello(metric):
    return lambda r: r.hello.get("tern", {}).get(metric)


def _hello_threads(results):
    threads = results.hello.get("tern", {}).get("threads")
    return None if threads is None else threads - workloads.WORKERS


def _hello_build(results):
    tern, grpc = (results.hello.get(p, {}).get("build_s") for p in ("tern", "grpc-sync"))
    return tern / grpc if tern and grpc else None


_ge, _le = operator.ge, operator.le
_WORKERS = workloads.WORKERS

TARGETS = [
    Target("W1", "p50, of raw", _le, 1.15, _of_raw("W1", "p50_us")),
    Target("W1", "server instructions, of raw", _le, 1.15, _instructions_of_raw),
    Target("W2", "64 outstanding, of raw", _ge, 0.7, _of_raw("W2", "calls_per_s")),
    Target("W2", "64 threads, of Thrift", _ge, 1.5, _of("W2t", "calls_per_s", "thrift")),
    Target("W2", "64 threads, of gRPC sync", _ge, 4, _of("W2t", "calls_per_s", "grpc-sync")),
    Target("W3", "of raw", _ge, 0.75, _of_raw("W3", "calls_per_s")),
    Target("W3", "server instructions", _le, 3500, lambda r: _instructions(r, "W7", "tern")),
    Target("W3", "server system calls", _le, 0.05, _median("W7", "system_calls")),
    Target("W4", "of the best raw", _ge, 0.95, _of_raw("W4", "calls_per_s")),
    Target("W5", "1 KiB, of raw", _ge, 0.9, _of_raw("W5", "calls_per_s")),
    Target("W5", "1 MiB, of raw", _ge, 0.9, _of_raw("W5m", "calls_per_s")),
    Target("W5", "1 MiB, of Thrift", _ge, 1.1, _of("W5m", "calls_per_s", "thrift")),
    Target("W6", "bytes per idle connection", _le, 1024, _median("W6", "bytes_per_connection")),
    Target("HOL", "p99 with 4 blocked, of p99 with none", _le, 2, _blocked(4)),
    Target("HOL", f"p99 with {_WORKERS - 1} blocked", _le, 2, _blocked(_WORKERS - 1)),
    Target("HOL", f"p99 with {_WORKERS} blocked", _le, 2, _blocked(_WORKERS)),
    Target("W8", "CPU per call, dearest of cheapest", _le, 1.25, _scattering),
    Target("W9", "p99, of p50", _le, 3, _open_loop),
    Target("S", "64 KiB messages, of raw", _ge, 0.85, _of_raw("S1", "calls_per_s")),
    Target("S", "64-byte messages/s, of raw's calls/s in W3", _ge, 0.5,
           lambda r: r.ratio("S2", "calls_per_s", "tern", "raw", other_case="W3")),
    Target("S", "p99 beside a stream, of W1's", _le, 2,
           lambda r: r.ratio("S3", "p99_us", "tern", "tern", other_case="W1")),
    # The largest window that a stream has by default: 16 MiB.
    Target("S", "MB that the server needs more beside a stream", _le, 16.8,
           _median("S3", "server_grown_mb")),
    Target("CO", "bytes per call that waits for a timer", _le, 2048,
           lambda r: r.median("CO", "tern-timer", "bytes_per_call")),
    Target("CO", "bytes per call that waits for a call", _le, 2048,
           lambda r: r.median("CO", "tern-child", "bytes_per_call")),
    Target("CO", "threads for them", _le, 0, _co_threads),
    Target("HELLO", "stripped MB", _le, 3, _hello("stripped_mb")),
    Target("HELLO", "shared libraries", _le, 7, _hello("shared_libraries")),
    Target("HELLO", "resident MB", _le, 5, _hello("resident_mb")),
    Target("HELLO", "threads beyond the workers", _le, 4, _hello_threads),
    Target("HELLO", "compile and link, of gRPC", _le, 0.5, _hello_build),
]
