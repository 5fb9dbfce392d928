"""What is measured: the peers, the workloads, and what Tern wants to reach.

Client options are those of load/options.h.
"""

import dataclasses
import os

# The pool of a Tern server with default options (server/server_options.h).
WORKERS = max(8, 4 * (os.cpu_count() or 1))


@dataclasses.dataclass(frozen=True)
class Peer:
    """A pair of programs: bench/<folder>/server and client."""

    name: str
    folder: str
    server_arguments: tuple = ()
    client_options: tuple = ()  # (name, value) pairs
    only: tuple = None  # The workloads or cases that it is measured in; None: all.
    comes_with: str = None  # Chosen when that peer is.
    competes: bool = True  # With the peer that it comes with: the better one counts.

    def targets(self):
        return [f"//bench/{self.folder}:server", f"//bench/{self.folder}:client"]


# Thrift's two servers, each where it is the better one.
_THRIFT_THREADED = ("W1", "W2", "W3", "W4", "W5", "W7", "HOL", "W9")
_THRIFT_NONBLOCKING = ("W5m", "W6", "W8")


def _raw(suffix, shape, loops=1):
    return Peer(f"raw-{suffix}", "raw", (shape,), (("loops", loops),), only=("W4",),
                comes_with="raw")


PEERS = [
    Peer("raw", "raw", ("inline",)),
    Peer("raw-fresh", "raw", ("fresh",), (("variant", "fresh"),), only=("W1", "W2", "W3"),
         comes_with="raw", competes=False),
    Peer("raw-headers", "raw", ("headers",), (("variant", "headers"),),
         only=("W1", "W2", "W3"), comes_with="raw", competes=False),
    _raw("cores", "cores"),
    _raw("cores-2", "cores", loops=2),
    _raw("pool", "pool"),
    _raw("pool-2", "pool", loops=2),
    Peer("tern", "tern"),
    Peer("tern-timer", "outstanding", ("timer",), only=("CO",), comes_with="tern",
         competes=False),
    Peer("tern-child", "outstanding", ("relay",), only=("CO",), comes_with="tern",
         competes=False),
    Peer("grpc-sync", "grpc", ("sync",)),
    Peer("grpc-callback", "grpc", ("callback",)),
    Peer("thrift", "thrift", ("threaded",), only=_THRIFT_THREADED),
    Peer("thrift-nb", "thrift", ("nonblocking",), (("variant", "framed"),),
         only=_THRIFT_NONBLOCKING, comes_with="thrift"),
    Peer("capnp", "capnp"),
]


@dataclasses.dataclass(frozen=True)
class Metric:
    key: str
    title: str
    higher_is_better: bool = False


CALLS = Metric("calls_per_s", "calls/s", higher_is_better=True)
P50 = Metric("p50_us", "p50 us")
P99 = Metric("p99_us", "p99 us")
P999 = Metric("p999_us", "p99.9 us")
MOST = Metric("max_us", "most us")
KEPT = Metric("rate_kept", "of the rate")
SERVER_CPU = Metric("server_cpu_us", "server CPU us")
MEGABYTES = Metric("megabytes_per_s", "MB/s each way", higher_is_better=True)
STREAMED = Metric("megabytes_per_s", "MB/s", higher_is_better=True)
STREAMED_IN_ALL = Metric("streamed_mb", "MB streamed", higher_is_better=True)
SERVER_GROWN = Metric("server_grown_mb", "server's MB more")
MESSAGES = Metric("calls_per_s", "messages/s", higher_is_better=True)
USER_INSTRUCTIONS = Metric("user_instructions", "user instr.")
KERNEL_INSTRUCTIONS = Metric("kernel_instructions", "kernel instr.")
SYSTEM_CALLS = Metric("system_calls", "system calls")
BYTES = Metric("bytes_per_connection", "bytes/connection")
CALL_BYTES = Metric("bytes_per_call", "bytes/call")
THREADS_ADDED = Metric("threads_added", "more threads")


@dataclasses.dataclass(frozen=True)
class Case:
    """One measurement of each peer in each round. The first metric is the one that counts."""

    name: str
    workload: str
    title: str
    options: dict
    metrics: tuple
    without: tuple = ()  # Peers that cannot do it.
    # Calls/s are half of what the same peer reached in this case, in the same round.
    half_of: str = None
    least_seconds: float = 0

    def peers(self, chosen):
        return [
            peer
            for peer in chosen
            if peer.name not in self.without
            and (peer.only is None or self.workload in peer.only or self.name in peer.only)
        ]


def _blocked(count, title):
    return Case(
        f"HOL{count}",
        "HOL",
        f"echo beside {title} 50 ms calls on the same connection",
        {"mode": "async", "blocked": count},
        (P99, P50, MOST, CALLS),
        without=("raw",) if count else (),
        least_seconds=1,
    )


def _scattered(connections):
    return Case(
        f"W8/{connections}",
        "W8",
        f"1,000 calls/s in all over {connections:,} connections",
        {"mode": "open", "rate": 1000, "connections": connections},
        (SERVER_CPU, P50, P99),
        least_seconds=2,
    )


# Those with a server of coroutines are measured.
_NO_COROUTINES = ("raw", "tern", "grpc-sync", "grpc-callback", "capnp")
_NO_STREAMS = ("raw-fresh", "raw-headers", "thrift", "thrift-nb", "capnp")

CASES = [
    Case("W1", "W1", "1 connection, 1 blocking caller, 64 bytes",
         {"mode": "blocking"}, (P50, P99, CALLS, SERVER_CPU)),
    Case("W1c", "W1", "the same, counted: of the server, per call",
         {"mode": "blocking", "counters": 1},
         (USER_INSTRUCTIONS, KERNEL_INSTRUCTIONS, SYSTEM_CALLS)),
    Case("W2", "W2", "1 connection, 64 outstanding",
         {"mode": "async", "outstanding": 64}, (CALLS, P50, P99, SERVER_CPU)),
    Case("W2t", "W2", "1 connection, 64 blocking threads",
         {"mode": "blocking", "threads": 64}, (CALLS, P50, P99, SERVER_CPU),
         without=("raw", "raw-fresh", "raw-headers", "capnp")),
    Case("W3", "W3", "1 connection, 256 outstanding",
         {"mode": "async", "outstanding": 256}, (CALLS, P50, P99, SERVER_CPU)),
    Case("W4", "W4", "128 connections, 1 outstanding each",
         {"mode": "async", "connections": 128}, (CALLS, P50, P99, SERVER_CPU)),
    Case("W5", "W5", "1 connection, 1 blocking caller, 1 KiB",
         {"mode": "blocking", "bytes": 1 << 10}, (CALLS, P50, P99, SERVER_CPU)),
    Case("W5m", "W5", "1 connection, 1 blocking caller, 1 MiB",
         {"mode": "blocking", "bytes": 1 << 20}, (MEGABYTES, P50, P99, SERVER_CPU),
         without=("thrift",)),
    Case("W6", "W6", "2,000 connections that have made a call and rest for 8 s",
         {"mode": "idle", "connections": 2000, "idle_seconds": 8}, (BYTES,)),
    Case("W7", "W7", "W3, counted: of the server, per call",
         {"mode": "async", "outstanding": 256, "counters": 1},
         (SERVER_CPU, USER_INSTRUCTIONS, KERNEL_INSTRUCTIONS, SYSTEM_CALLS)),
    _blocked(0, "no"),
    _blocked(4, "4"),
    _blocked(WORKERS - 1, f"{WORKERS - 1} (workers - 1)"),
    _blocked(WORKERS, f"{WORKERS} (all workers)"),
    _scattered(1),
    _scattered(100),
    _scattered(1000),
    _scattered(10000),
    Case("W9", "W9", "1 connection, open loop at half of the calls/s of W3",
         {"mode": "open"}, (P99, P50, P999, CALLS, KEPT, SERVER_CPU), half_of="W3"),
    Case("S1", "S", "a stream from the server, messages of 64 KiB, read by a thread",
         {"mode": "pour", "stream_bytes": 64 << 10}, (STREAMED, SERVER_CPU), without=_NO_STREAMS),
    Case("S2", "S", "the same, messages of 64 bytes",
         {"mode": "pour", "stream_bytes": 64}, (MESSAGES, SERVER_CPU), without=_NO_STREAMS),
    Case("S3", "S", "W1 beside such a stream of 64 KiB messages, on the same connection",
         {"mode": "beside", "stream_bytes": 64 << 10},
         (P99, P50, CALLS, STREAMED, STREAMED_IN_ALL, SERVER_GROWN),
         without=(*_NO_STREAMS, "raw")),
    Case("CO", "CO", "100,000 calls that wait in coroutine handlers, over 100 connections",
         {"connections": 100, "outstanding": 100000}, (CALL_BYTES, THREADS_ADDED),
         without=_NO_COROUTINES),
]
