#!/usr/bin/env python3
"""Holds the unary path to its instruction count; `./dev instructions` builds what this needs.

Runs unary_path with few calls and with many, so that the difference is calls only, and compares
the instructions for each with unary_path.json. Fails when they have grown by more than 5 %.
After a change that is worth its price, or that saved something: `./dev instructions --record`.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

FEW, MANY = 1600, 9600
AT_ONCE = (1, 16)  # As a caller that waits makes them, and as they come under load.
MOST_GROWTH = 0.05
RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "unary_path.json")


def _output(command):
    return subprocess.run(command, capture_output=True, text=True, check=True)


def count_with_perf(command):
    """Instructions outside the kernel; None where the processor's counters can't be read."""
    if not shutil.which("perf"):
        return None
    with tempfile.NamedTemporaryFile("r") as file:
        run = subprocess.run(
            ["perf", "stat", "-x,", "-o", file.name, "-e", "instructions:u", *command],
            capture_output=True,
            check=False,
        )
        found = re.search(r"^(\d+),", file.read(), re.MULTILINE)
    return int(found.group(1)) if found and run.returncode == 0 else None


def count_with_callgrind(command):
    if not shutil.which("valgrind"):
        return None
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    found = re.search(r"Collected : (\d+)", _output(valgrind + command).stderr)
    return int(found.group(1)) if found else None


COUNTERS = {"perf": count_with_perf, "callgrind": count_with_callgrind}


def compiler():
    """As Bazel finds it."""
    name = os.environ.get("CC", "gcc")
    version = _output([name, "-dumpfullversion"]).stdout.strip()
    return f"{os.path.basename(name)} {version} {platform.machine()}"


def measure(program, count):
    """{calls at once: instructions per call}"""
    per_call = {}
    for at_once in AT_ONCE:
        few, many = (count([program, str(calls), str(at_once)]) for calls in (FEW, MANY))
        per_call[str(at_once)] = round((many - few) / (MANY - FEW), 1)
    return per_call


def compare(per_call, recorded):
    """Prints a line for each count; False if one has grown too much."""
    good = True
    for at_once, now in per_call.items():
        before = recorded[at_once]
        growth = now / before - 1
        verdict = "as recorded"
        if growth > MOST_GROWTH:
            verdict, good = f"MORE than {MOST_GROWTH:.0%} above what is recorded", False
        elif growth < -MOST_GROWTH:
            verdict = "less: ./dev instructions --record keeps it so"
        print(f"  {at_once:>3} at once: {now:,.0f} per call, recorded {before:,.0f}"
              f" ({growth:+.1%}): {verdict}")
    return good


def main():
    parser = argparse.ArgumentParser(prog="./dev instructions",
                                     description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--record", action="store_true", help="make today's counts the measure")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()

    count = next((c for c in COUNTERS.values() if c([options.program, "1", "1"]) is not None), None)
    if count is None:
        print("instructions: neither perf nor valgrind can count here", file=sys.stderr)
        return 1
    tool = next(name for name, c in COUNTERS.items() if c is count)
    per_call = measure(options.program, count)
    print(f"Instructions of a unary call through two sessions, both ends, {compiler()}, {tool}:")

    if options.record:
        with open(RECORD, "w", encoding="utf-8") as file:
            json.dump({"compiler": compiler(), "tool": tool, "instructions_per_call": per_call},
                      file, indent=2)
            file.write("\n")
        for at_once, now in per_call.items():
            print(f"  {at_once:>3} at once: {now:,.0f} per call, recorded")
        return 0

    with open(RECORD, encoding="utf-8") as file:
        record = json.load(file)
    if record["compiler"] != compiler():
        print(f"  not compared: {record['compiler']} made the recorded ones")
        return 0
    return 0 if compare(per_call, record["instructions_per_call"]) else 1


if __name__ == "__main__":
    sys.exit(main())
