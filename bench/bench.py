#!/usr/bin/env python3
"""Measures Tern beside its peers; `./dev bench` builds what this needs and runs it.

The peers take turns, round after round, so that whatever the machine does meanwhile does it to
all of them. README.md says what each workload means and how to read the tables.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys

import hello
import report
import runner
import targets
import workloads

# Above these the output says that the machine was not quiet.
BOUNDS = {"steal": 0.02, "others": 0.10, "spread": 0.25}


def parse_arguments():
    names = ", ".join(peer.name for peer in workloads.PEERS)
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="W1,W3", help="workloads: "
                        + ", ".join(report.workload_names()))
    parser.add_argument("--peers", metavar="tern,raw", help=f"peers: {names}")
    parser.add_argument("--rounds", type=int, default=5, help="of all measurements (default 5)")
    parser.add_argument("--seconds", type=float, default=2,
                        help="that a measurement takes (default 2)")
    parser.add_argument("--warmup", type=float, default=0.5, help="seconds before it (default 0.5)")
    parser.add_argument("--stream-mib", type=int, default=0,
                        help="S3 goes on until the stream has brought so much (default 0)")
    parser.add_argument("--pin", choices=("apart", "together"),
                        help="client on the first core, server on the others; or both on the"
                        " first (default: wherever the scheduler puts them)")
    parser.add_argument("--json", metavar="FILE", help="write every measurement there")
    parser.add_argument("--binaries", default="bazel-bin", help=argparse.SUPPRESS)
    parser.add_argument("--actions", help=argparse.SUPPRESS)
    parser.add_argument("--list-targets", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()

    known = {peer.name: peer for peer in workloads.PEERS}
    wanted = options.peers.split(",") if options.peers else list(known)
    if unknown := set(wanted) - set(known):
        parser.error(f"no such peer: {', '.join(unknown)} (there are {names})")
    # A peer brings its variants.
    options.peers = [p for p in workloads.PEERS if p.name in wanted or p.comes_with in wanted]

    options.workloads = options.only.split(",") if options.only else report.workload_names()
    if unknown := set(options.workloads) - set(report.workload_names()):
        parser.error(f"no such workload: {', '.join(unknown)}")
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("at least one round, and more than no seconds")
    if options.stream_mib < 0:
        parser.error("--stream-mib is how much at least, not less than nothing")
    return options


def chosen_cases(options):
    cases = [case for case in workloads.CASES if case.workload in options.workloads]
    # W9 needs to know the peak.
    needed = {case.half_of for case in cases} - {case.name for case in cases}
    return [case for case in workloads.CASES if case in cases or case.name in needed]


class Session:
    """All that one invocation measures."""

    def __init__(self, options):
        self.options = options
        self.results = targets.Results({})
        self.machines = []
        self.failures = []
        self.round = 0
        self.measured = 0  # Cases, of all rounds.

    def run_round(self, cases):
        self.round += 1
        for case in cases:
            for peer in case.peers(self.options.peers):
                values = self._measure(case, peer)
                self.results.runs.setdefault(case.name, {}).setdefault(peer.name, []).append(values)
            self.measured += 1
            # As many lines as there are cases, however many rounds, and from the first one on.
            if self.measured % self.options.rounds == 0:
                log_progress(f"{self.measured} of {len(cases) * self.options.rounds} measurements"
                             f" done, {case.name} of round {self.round} the last")

    def measure_hello(self):
        show_progress("HELLO")
        try:
            self.results.hello = hello.measure(
                self.options.binaries, self.options.peers, self.options.actions)
        except (OSError, subprocess.CalledProcessError) as error:
            self.failures.append(f"HELLO: {str(error)[:200]}")
        log_progress("HELLO done")

    def _measure(self, case, peer):
        seconds = max(self.options.seconds, case.least_seconds)
        options = dict(case.options, **dict(peer.client_options))
        options |= {"seconds": seconds, "warmup_seconds": self.options.warmup}
        if options.get("mode") == "beside":
            options["stream_mib"] = self.options.stream_mib
        if case.half_of:
            peak = self.results.values(case.half_of, peer.name, "calls_per_s")[-1]
            if peak is None:
                return None
            options["rate"] = peak / 2
        show_progress(f"round {self.round} of {self.options.rounds}: {case.name} of {peer.name}")
        timeout = 120 + seconds + 2 * options.get("idle_seconds", 0)
        timeout += options.get("stream_mib", 0) / 10
        try:
            values, machine = runner.measure(
                self.options.binaries, peer, options, timeout, self.options.pin)
        except runner.Failed as error:
            self.failures.append(f"{case.name} of {peer.name}: {error}")
            return None
        if "calls_per_s" in values:
            size = options.get("stream_bytes", options.get("bytes", 64))
            values.setdefault("megabytes_per_s", values["calls_per_s"] * size / 1e6)
        if case.half_of:
            values["rate_kept"] = values["calls_per_s"] / options["rate"]
        self.machines.append(machine)
        return values


def show_progress(text):
    if sys.stderr.isatty():
        print("\r\033[K" + text, end="", file=sys.stderr, flush=True)


def log_progress(text):
    if not sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def describe_machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def main():
    options = parse_arguments()
    if options.list_targets:
        wanted = {t for peer in options.peers for t in peer.targets()}
        if "HELLO" in options.workloads:
            wanted |= set(hello.targets(options.peers))
        print("\n".join(sorted(wanted)))
        return 0

    cases = chosen_cases(options)
    session = Session(options)
    try:
        for _ in range(options.rounds):
            session.run_round(cases)
        if "HELLO" in options.workloads:
            session.measure_hello()
    except KeyboardInterrupt:
        print("\ninterrupted: this is what was measured until then", file=sys.stderr)
    show_progress("")

    results = session.results
    pinned = f"; client and server pinned {options.pin}" if options.pin else ""
    rounds = f"{options.rounds} round{'s' if options.rounds > 1 else ''}"
    print(f"{describe_machine()}; {rounds} of {options.seconds:g} s{pinned};"
          " median (least..most) of the rounds")
    report.print_results(results, cases)
    if results.hello:
        report.print_hello(results.hello)
    verdicts = report.verdicts(results, options.workloads)
    if any(peer.name == "tern" for peer in options.peers):
        report.print_verdicts(verdicts)
    noise = []
    if session.machines:
        noise = report.noise(results, cases, session.machines, BOUNDS)
        if noise:
            print("\nDo not believe this without a second look: the machine was not quiet.")
            print("\n".join(f"  {sentence}" for sentence in noise))
        else:
            print("\nThe machine was quiet: steal, other processes and spread within bounds.")
    if session.failures:
        print("\nMeasurements that failed:")
        print("\n".join(f"  {failure}" for failure in session.failures))

    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({
                "machine": describe_machine(),
                "seconds": options.seconds,
                "rounds": options.rounds,
                "runs": results.runs,
                "hello": results.hello,
                # Infinity is no JSON.
                "verdicts": [
                    {"target": t, "value": v if v != math.inf else None, "met": m}
                    for t, v, m in verdicts
                ],
                "noise": noise,
                "failures": session.failures,
            }, file, indent=1)
    return 1 if session.failures else 0


if __name__ == "__main__":
    sys.exit(main())
