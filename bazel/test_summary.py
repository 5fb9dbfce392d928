"""Counts the test cases of one `bazel test` and prints `N passed, N failed` as its last line.

Usage: test_summary.py [--passed=NAME] [--failed=NAME] EVENTS STATUS

EVENTS is what --build_event_json_file wrote: it names the reports (test.xml) of that run and no
other, cached results included. STATUS is Bazel's exit code. A target that did not build,
crashed or ran out of time without a report of a failed case counts as one failed case. The
exit code is 0 only if something ran and nothing failed.
"""

import argparse
import json
import sys
import urllib.parse
import xml.etree.ElementTree


def read_events(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                return  # Bazel died while it wrote: what stands before still counts.


def last_attempts(events):
    """Returns {(label, run, shard, ...): result}: of a test that was retried, the last attempt."""
    results = {}
    for event in events:
        key = event.get("id", {}).get("testResult")
        if key and "testResult" in event:
            name = (key["label"], key.get("configuration", {}).get("id", ""),
                    key.get("run", 1), key.get("shard", 1))
            attempt = key.get("attempt", 1)
            if name not in results or attempt >= results[name][0]:
                results[name] = (attempt, event["testResult"])
    return {name: result for name, (_, result) in results.items()}


def unbuilt_tests(events):
    """Returns the test targets that Bazel could not build."""
    kinds, built = {}, {}
    for event in events:
        configured = event.get("id", {}).get("targetConfigured")
        completed = event.get("id", {}).get("targetCompleted")
        if configured and "configured" in event:
            kinds[configured["label"]] = event["configured"].get("targetKind", "")
        if completed:
            built[completed["label"]] = event.get("completed", {}).get("success", False)
    return sorted(label for label, success in built.items()
                  if not success and kinds.get(label, "").endswith("_test rule"))


def read_cases(result):
    """Yields (case, outcome) of the result's report; nothing if there is none."""
    for output in result.get("testActionOutput", []):
        uri = output.get("uri", "")
        if output.get("name") != "test.xml" or not uri.startswith("file://"):
            continue
        try:
            root = xml.etree.ElementTree.parse(urllib.parse.unquote(uri[len("file://"):]))
        except (OSError, xml.etree.ElementTree.ParseError):
            continue
        for case in root.iter("testcase"):
            suite, name = case.get("classname", ""), case.get("name", "")
            full_name = f"{suite}.{name}" if suite else name
            if case.find("failure") is not None or case.find("error") is not None:
                yield full_name, "failed"
            elif case.find("skipped") is not None or case.get("result") == "skipped":
                yield full_name, "skipped"
            elif case.get("status") != "notrun":  # notrun: disabled or filtered out
                yield full_name, "passed"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--passed", action="append", default=[])
    parser.add_argument("--failed", action="append", default=[])
    parser.add_argument("events")
    parser.add_argument("status", type=int)
    options = parser.parse_args()

    outcomes = {"passed": list(options.passed), "failed": list(options.failed), "skipped": []}
    events = list(read_events(options.events))
    for (label, _, _, _), result in sorted(last_attempts(events).items()):
        cases = list(read_cases(result))
        for case, outcome in cases:
            outcomes[outcome].append(f"{label} {case}")
        status = result.get("status", "NO_STATUS")
        if status not in ("PASSED", "FLAKY") and "failed" not in dict(cases).values():
            outcomes["failed"].append(f"{label} ({status.lower()}, no case is to blame)")
    for label in unbuilt_tests(events):
        outcomes["failed"].append(f"{label} (did not build)")
    if options.status != 0 and not outcomes["failed"]:
        outcomes["failed"].append(f"bazel (exit code {options.status}: see above)")

    passed, failed = len(outcomes["passed"]), len(outcomes["failed"])
    for outcome in ("skipped", "failed"):
        for case in outcomes[outcome]:
            print(f"{outcome}: {case}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(0 if passed and not failed else 1)


if __name__ == "__main__":
    main()
