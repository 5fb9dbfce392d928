"""Runs one measurement: a server, a client, and an eye on the rest of the machine."""

import dataclasses
import json
import os
import resource
import select
import subprocess


class Failed(Exception):
    """The measurement could not be made; the text says why."""


@dataclasses.dataclass
class Machine:
    """Shares of the machine's processor time, while something was measured."""

    steal: float  # Taken by the hypervisor.
    others: float  # Used by processes that were not ours.


def _processor_times():
    """(all, idle, steal) in seconds, of all processors together."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, idle, iowait, irq, softirq, steal = (
            int(ticks) for ticks in file.readline().split()[1:9]
        )
    tick = os.sysconf("SC_CLK_TCK")
    total = user + nice + system + idle + iowait + irq + softirq + steal
    return total / tick, (idle + iowait) / tick, steal / tick


def _children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Server:
    """A server process on a port of its own; it ends with the `with` block."""

    def __init__(self, command, cores):
        # Its standard input is its lifeline: the server ends when we close it, or die.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )

    def __enter__(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 20)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("listening "):
            self.__exit__()
            raise Failed(f"the server did not start: {self.process.args}")
        self.port = int(line.split()[1])
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def _cores(pin):
    """Returns (the server's, the client's)"""
    cores = sorted(os.sched_getaffinity(0))
    if pin == "together":
        return cores[:1], cores[:1]
    if pin == "apart":
        return cores[1:] or cores, cores[:1]
    return cores, cores


def measure(binaries, peer, options, timeout, pin=None):
    """Returns ({metric: value}, Machine). Raises Failed."""
    folder = os.path.join(binaries, "bench", peer.folder)
    before, ours_before = _processor_times(), _children_seconds()
    server_cores, client_cores = _cores(pin)
    server_command = [os.path.join(folder, "server"), *peer.server_arguments]
    with Server(server_command, server_cores) as server:
        command = [
            os.path.join(folder, "client"),
            f"--port={server.port}",
            f"--server_pid={server.process.pid}",
        ] + [f"--{name}={value}" for name, value in options.items()]
        try:
            client = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                timeout=timeout,
                check=False,
                preexec_fn=lambda: os.sched_setaffinity(0, client_cores),
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"no result after {timeout:.0f} s") from error
    after, ours = _processor_times(), _children_seconds() - ours_before
    if client.returncode != 0:
        lines = client.stderr.strip().splitlines()
        raise Failed(lines[-1] if lines else f"exit code {client.returncode}")
    total, idle, steal = (b - a for a, b in zip(before, after))
    total = max(total, 0.01)
    others = max(0.0, total - idle - steal - ours)
    return json.loads(client.stdout), Machine(steal / total, others / total)
