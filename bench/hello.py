"""The Hello server of examples/hello and its counterpart for gRPC: what one costs that does nothing.

Times to compile and link are of the program's own sources, generated ones included, one after
the other with the very commands that Bazel would run; the libraries are there already, as gRPC's
are from its package. It is processor time that counts, of builds in turn: on a machine that does
something else, too, the clock on the wall shows that.
"""

import ctypes
import json
import os
import resource
import signal
import statistics
import subprocess
import tempfile
import time

PROGRAMS = {
    "tern": ("//examples/hello:server", "//examples/hello:"),
    "grpc-sync": ("//bench/hello:grpc_server", "//bench/hello:"),
}
_SHARED_SOURCES = "//examples/hello:hello_proto"
_BUILDS = 3  # The median counts.

METRICS = {
    "stripped_mb": "stripped MB",
    "shared_libraries": "shared libraries",
    "resident_mb": "resident MB",
    "threads": "threads",
    "build_s": "compile and link CPU s",
}


def targets(peers):
    return [PROGRAMS[peer.name][0] for peer in peers if peer.name in PROGRAMS]


def _stripped_size(program):
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["strip", "-o", file.name, program], check=True)
        return os.path.getsize(file.name)


def _shared_libraries(program):
    """As ldd counts them, the loader included and the kernel's own left out."""
    lines = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return sum("linux-vdso" not in line for line in lines.splitlines())


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _at_rest(program):
    """(resident bytes, threads) of the server two seconds after its start."""
    server = subprocess.Popen(
        [program, "127.0.0.1:0"], stderr=subprocess.DEVNULL, preexec_fn=_die_with_parent
    )
    try:
        time.sleep(2)
        with open(f"/proc/{server.pid}/smaps_rollup", encoding="ascii") as file:
            resident = next(int(line.split()[1]) for line in file if line.startswith("Rss:"))
        return resident * 1024, len(os.listdir(f"/proc/{server.pid}/task"))
    finally:
        server.terminate()
        server.wait()


def _commands(actions, target, prefix):
    """The commands that compile and link a program, from `bazel aquery`'s answer."""
    labels = {entry["id"]: entry["label"] for entry in actions["targets"]}
    for mnemonic in ("CppCompile", "CppLink"):
        for action in actions["actions"]:
            label, arguments = labels[action["targetId"]], action["arguments"]
            if action["mnemonic"] != mnemonic or any("-exec-" in a for a in arguments):
                continue
            if mnemonic == "CppLink" and label == target:
                # Bazel tells them twice: the last one is a file that holds all the others.
                yield [a for a in arguments if not a.startswith("@")]
            elif mnemonic == "CppCompile" and (
                label.startswith(prefix) or label == _SHARED_SOURCES
            ):
                if not arguments[arguments.index("-o") + 1].endswith(".pic.o"):
                    yield arguments


def _build_seconds(commands, folder):
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as outputs:
        for number, command in enumerate(commands):
            at = command.index("-o") + 1
            elsewhere = [os.path.join(outputs, str(number))]
            subprocess.run(command[:at] + elsewhere + command[at + 1:], cwd=folder, check=True,
                           stderr=subprocess.DEVNULL)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime


def measure(binaries, peers, actions_file):
    """{peer: {metric: value}}; times to build only if Bazel's actions are given."""
    results = {}
    for peer in peers:
        if peer.name not in PROGRAMS:
            continue
        program = os.path.join(binaries, PROGRAMS[peer.name][0].removeprefix("//").replace(":", "/"))
        resident, threads = _at_rest(program)
        results[peer.name] = {
            "stripped_mb": _stripped_size(program) / 1e6,
            "shared_libraries": _shared_libraries(program),
            "resident_mb": resident / 1e6,
            "threads": threads,
        }
    if actions_file:
        with open(actions_file, encoding="utf-8") as file:
            actions = json.load(file)
        # The folder in which bazel-out is found: the root of the execution.
        folder = os.path.realpath(binaries).split("/bazel-out/")[0]
        commands = {name: list(_commands(actions, *PROGRAMS[name])) for name in results}
        rounds = [
            {name: _build_seconds(commands[name], folder) for name in results}
            for _ in range(_BUILDS)
        ]
        for name, values in results.items():
            values["build_s"] = statistics.median(seconds[name] for seconds in rounds)
    return results
