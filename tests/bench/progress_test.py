"""What bench.py tells of its progress, on a terminal and in a log."""

import contextlib
import io
import sys
import types
import unittest
from unittest import mock

sys.path.insert(0, "bench")

import bench  # noqa: E402
import runner  # noqa: E402
import workloads  # noqa: E402

CASES = [case for case in workloads.CASES if case.name in ("W1", "W2", "W3")]


class Terminal(io.StringIO):
    def isatty(self):
        return True


class ProgressTest(unittest.TestCase):
    def told(self, rounds, stderr):
        """What is written while CASES are measured, by a runner that takes no time."""
        options = types.SimpleNamespace(
            binaries="", pin=None, rounds=rounds, seconds=1, warmup=0, stream_mib=0,
            actions=None, peers=[peer for peer in workloads.PEERS if peer.name in ("tern", "raw")])
        session = bench.Session(options)
        with mock.patch.object(runner, "measure", return_value=({}, None)) as measure, \
                mock.patch("hello.measure", return_value=[]), \
                contextlib.redirect_stderr(stderr):
            for _ in range(rounds):
                session.run_round(CASES)
            session.measure_hello()
        self.assertEqual(measure.call_count, rounds * len(CASES) * len(options.peers))
        self.assertEqual(session.failures, [])
        return stderr.getvalue()

    def test_a_log_has_a_line_for_each_case(self):
        self.assertEqual(self.told(1, io.StringIO()).splitlines(), [
            "1 of 3 measurements done, W1 of round 1 the last",
            "2 of 3 measurements done, W2 of round 1 the last",
            "3 of 3 measurements done, W3 of round 1 the last",
            "HELLO done",
        ])

    def test_a_log_has_as_many_lines_of_many_rounds(self):
        lines = self.told(5, io.StringIO()).splitlines()
        self.assertEqual(len(lines), len(CASES) + 1)
        self.assertEqual(lines[0], "5 of 15 measurements done, W2 of round 2 the last")
        self.assertEqual(lines[2], "15 of 15 measurements done, W3 of round 5 the last")

    def test_a_terminal_has_one_line_that_changes(self):
        text = self.told(2, Terminal())
        self.assertNotIn("\n", text)
        shown = text.split("\r\033[K")
        self.assertEqual(shown[0], "")
        self.assertEqual(shown[1], "round 1 of 2: W1 of raw")
        self.assertEqual(shown[-1], "HELLO")
        self.assertEqual(len(shown), 1 + 2 * len(CASES) * 2 + 1)


if __name__ == "__main__":
    unittest.main()
