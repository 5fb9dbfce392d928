"""Tables for people."""

import statistics

import hello
import targets
import workloads


def number(value):
    if value is None:
        return "n/a"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cell(values):
    """median (least..most)"""
    known = [value for value in values if value is not None]
    if not known:
        return "n/a"
    text = number(statistics.median(known))
    if len(known) > 1:
        text += f" ({number(min(known))}..{number(max(known))})"
    return text


def spread(values):
    """The range, relative to the median."""
    known = [value for value in values if value is not None]
    middle = statistics.median(known) if known else 0
    return (max(known) - min(known)) / middle if middle else 0


def _print_columns(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "  ".join(cells).rstrip())


def print_results(results, cases):
    for case in cases:
        runs = results.runs.get(case.name)
        if not runs:
            continue
        print(f"\n{case.name}: {case.title}")
        best_raw = results.best(case.name, "raw")
        rows = [["", case.metrics[0].title, "x raw"] + [m.title for m in case.metrics[1:]]]
        for peer in runs:
            ratio = results.ratio(case.name, case.metrics[0].key, peer, best_raw)
            row = [peer, _cell(results.values(case.name, peer, case.metrics[0].key))]
            row.append("" if ratio is None else f"{ratio:.2f}")
            row += [_cell(results.values(case.name, peer, m.key)) for m in case.metrics[1:]]
            rows.append(row)
        _print_columns(rows)


def print_hello(figures):
    print("\nHELLO: examples/hello's server at rest, and its counterpart")
    rows = [[""] + list(hello.METRICS.values())]
    for peer, values in figures.items():
        rows.append([peer] + [number(values.get(key)) for key in hello.METRICS])
    _print_columns(rows)


def print_verdicts(verdicts):
    print("\nWhat Tern wants to reach (ratios are medians of the rounds' ratios):")
    rows = []
    for text, value, met in verdicts:
        word = {True: "met", False: "MISSED", None: "not measured"}[met]
        rows.append([text, number(value), word])
    _print_columns(rows)


def noise(results, cases, machines, bounds):
    """Sentences about why not to believe this."""
    said = []
    worst = max(machines, key=lambda m: m.steal)
    if worst.steal > bounds["steal"]:
        said.append(
            f"The hypervisor took up to {worst.steal:.0%} of a measurement's processor time"
            f" (more than {bounds['steal']:.0%})."
        )
    disturbed = sum(m.others > bounds["others"] for m in machines)
    if disturbed:
        said.append(
            f"Other processes used more than {bounds['others']:.0%} of the machine during"
            f" {disturbed} of {len(machines)} measurements"
            f" (up to {max(m.others for m in machines):.0%})."
        )
    for case in cases:
        for peer in results.runs.get(case.name, {}):
            width = spread(results.values(case.name, peer, case.metrics[0].key))
            if width > bounds["spread"]:
                said.append(
                    f"{case.name} of {peer}: {case.metrics[0].title} differed by {width:.0%}"
                    f" between rounds (more than {bounds['spread']:.0%})."
                )
    return said


def verdicts(results, chosen_workloads):
    return [
        target.verdict(results)
        for target in targets.TARGETS
        if target.workload in chosen_workloads
    ]


def workload_names():
    return list(dict.fromkeys(case.workload for case in workloads.CASES)) + ["HELLO"]
