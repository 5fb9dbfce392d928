"""Runs the kv example's server against the Python client: python3 interop_test.py SERVER.

Each check is one test case. With XML_OUTPUT_FILE set, as Bazel does, it gets a JUnit report.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

from kv_client import SERVICE, KeyValue, entry
from tern_client import *  # pylint: disable=wildcard-import,unused-wildcard-import

SERVER = ""            # The server's program, from the command line.
SECONDS_EACH = 40      # A check that takes longer has failed.

UNARY = END_MESSAGE | END_STREAM
GET = call_header(SERVICE + "Get", 20_000_000)
PUT = call_header(SERVICE + "Put", 20_000_000)
NO_KEY = b"\x0a\x07missing"   # A GetRequest.
GROUP = b"\xa3\x01\xa4\x01"   # Field 20 as a group without content.


def length(number):
    """The 4 bytes with which LENGTH and ATTACHMENT start a payload."""
    return struct.pack(">I", number)


# What ends the connection: name: (bytes sent behind the client's HELLO, GOAWAY's error).
CONNECTION_FAULTS = {
    "unknown mandatory frame": (frame(0x09), PROTOCOL_ERROR),
    "second HELLO": (frame(HELLO, payload=field(1, 1) + field(2, 1)), PROTOCOL_ERROR),
    "oversize frame": (struct.pack(">IIBBH", 2**24 + 1, 1, DATA, 0, 0), FRAME_TOO_LARGE),
    "header block beyond its frame": (struct.pack(">IIBBH", 0, 1, HEADERS, 0, 1), PROTOCOL_ERROR),
    "HEADERS without a header block": (frame(HEADERS, 1, UNARY, b"", NO_KEY), PROTOCOL_ERROR),
    "HEADERS on stream 0": (frame(HEADERS, 0, UNARY, GET, NO_KEY), PROTOCOL_ERROR),
    "HEADERS on an even stream": (frame(HEADERS, 2, UNARY, GET, NO_KEY), PROTOCOL_ERROR),
    "HEADERS on a stream that was skipped": (
        frame(HEADERS, 3, LENGTH, GET, length(9)) + frame(HEADERS, 1, UNARY, GET, NO_KEY),
        PROTOCOL_ERROR),
    "DATA on a stream never opened": (frame(DATA, 1, UNARY, b"", NO_KEY), PROTOCOL_ERROR),
    "DATA with a header block": (frame(DATA, 1, UNARY, GET, NO_KEY), PROTOCOL_ERROR),
    "STATUS to a server": (frame(STATUS, 1), PROTOCOL_ERROR),
    "CHECKSUM that is wrong": (frame(PING, 0, CHECKSUM, b"", bytes(12)), DATA_CORRUPT),
    "PING of 7 bytes": (frame(PING, payload=bytes(7)), PROTOCOL_ERROR),
    "WINDOW of 0": (window_frame(0, 0), PROTOCOL_ERROR),
    "WINDOW above 2^31-1": (window_frame(0, MAX_WINDOW), FLOW_CONTROL_ERROR),
    "8 WINDOW frames for nothing": (8 * window_frame(0, 1), ABUSE),
    "4 PING frames at once": (4 * frame(PING, payload=bytes(8)), ABUSE),
}

# What ends one stream: name: (header block, payload, flags, code). All are NOT_STARTED.
STREAM_FAULTS = {
    "header block that is cut": (GET[:-1], NO_KEY, UNARY, INVALID_ARGUMENT),
    "header block with a group": (GET + GROUP, NO_KEY, UNARY, INVALID_ARGUMENT),
    "header block with a field twice": (GET + field(2, 5), NO_KEY, UNARY, INVALID_ARGUMENT),
    "header block without a method": (field(2, 5), NO_KEY, UNARY, INVALID_ARGUMENT),
    "header block without a timeout": (field(1, "a.B/C"), NO_KEY, UNARY, INVALID_ARGUMENT),
    "method without a slash": (call_header("Get", 5), NO_KEY, UNARY, INVALID_ARGUMENT),
    "metadata key in capitals": (
        call_header(SERVICE + "Get", 5, [("KEY", b"")]), NO_KEY, UNARY, INVALID_ARGUMENT),
    "65 metadata entries": (
        call_header(SERVICE + "Get", 5, [("k", b"")] * 65), NO_KEY, UNARY, RESOURCE_EXHAUSTED),
    "header block of more than 24576 bytes": (
        GET + field(99, bytes(24_576)), NO_KEY, UNARY, RESOURCE_EXHAUSTED),
    "unknown service": (call_header("no.Such/Get", 10**7), NO_KEY, UNARY, UNIMPLEMENTED),
    "unknown method": (call_header(SERVICE + "No", 10**7), NO_KEY, UNARY, UNIMPLEMENTED),
    "unknown codec": (GET + field(8, 1), NO_KEY, UNARY, UNIMPLEMENTED),
    "unknown required feature": (GET + field(5, 1 << 40), NO_KEY, UNARY, UNIMPLEMENTED),
    "timeout of 0": (call_header(SERVICE + "Get", 0), NO_KEY, UNARY, DEADLINE_EXCEEDED),
    "request that never comes, by its deadline": (
        call_header(SERVICE + "Get", 20_000), b"", 0, DEADLINE_EXCEEDED),
    "half-close without a message": (GET, b"", END_STREAM, UNIMPLEMENTED),
    "first chunk without LENGTH": (GET, NO_KEY, 0, INTERNAL),
    "message shorter than LENGTH": (GET, length(99) + NO_KEY, UNARY | LENGTH, INTERNAL),
    "message longer than LENGTH": (GET, length(2) + NO_KEY, UNARY | LENGTH, INTERNAL),
    "message above the limit": (GET, length(2**31), LENGTH, RESOURCE_EXHAUSTED),
    "compressed without being asked": (GET, NO_KEY, UNARY | COMPRESSED, INTERNAL),
    "attachment above its message": (GET, length(99) + NO_KEY, UNARY | ATTACHMENT, INTERNAL),
    "message that is not protobuf": (GET, b"\xff", UNARY, INVALID_ARGUMENT),
}


class Server:
    """A kv server on a port and in a directory of its own."""

    def __init__(self):
        self._directory = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [SERVER, "--listen=127.0.0.1:0", "--nosync", "--data=" + self._directory.name],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.match(r"listening on 127\.0\.0\.1:(\d+)", line)
        if not found:
            self.end()
            raise RuntimeError(f"the server says {line!r}")
        self.address = ("127.0.0.1", int(found.group(1)))

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._directory.cleanup()


class InteropTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        signal.alarm(SECONDS_EACH)
        cls.server = Server()
        cls.addClassCleanup(cls.server.end)

    def setUp(self):
        signal.alarm(SECONDS_EACH)

    def tearDown(self):
        signal.alarm(0)

    def connect(self, **options):
        connection = Connection(self.server.address, **options)
        self.addCleanup(connection.close)
        return connection

    def assert_fails(self, connection, call, code, certainty):
        with self.assertRaises(CallError) as caught:
            connection.wait(call)
        status = caught.exception.status
        self.assertEqual((status.code, status.certainty), (code, certainty), status.message)

    def assert_lives(self, connection):
        self.assert_fails(connection, KeyValue(connection).start_get(b"no"), NOT_FOUND, FINISHED)

    def assert_goaway(self, connection, error):
        connection.wait_until(lambda: connection.goaway)
        self.assertEqual(connection.goaway[1], error, connection.goaway)

    # ---- the service

    def test_put_then_get_returns_the_value(self):
        kv = KeyValue(self.connect())
        kv.put(b"key", b"value")
        self.assertEqual(kv.get(b"key"), b"value")
        kv.put(b"empty", b"")
        self.assertEqual(kv.get(b"empty"), b"")

    def test_missing_key_is_not_found_and_finished(self):
        connection = self.connect()
        self.assert_lives(connection)
        KeyValue(connection).put(b"gone", b"value")
        KeyValue(connection).delete(b"gone")
        self.assert_fails(connection, KeyValue(connection).start_get(b"gone"), NOT_FOUND, FINISHED)

    def test_scan_pages_through_what_a_batch_put(self):
        kv = KeyValue(self.connect())
        entries = [(b"scan%02d" % i, bytes(i)) for i in range(25)]
        kv.batch_put(entries)
        self.assertEqual(list(kv.scan(b"scan", page_size=7)), entries)

    def test_value_of_1_mib_travels_in_chunks_both_ways(self):
        connection = self.connect()
        kv = KeyValue(connection)
        value = os.urandom(1 << 20)
        kv.put(b"long", value)
        self.assertEqual(kv.get(b"long"), value)

        put = [flags for _, stream, flags, _ in connection.sent if stream == 1]
        self.assertEqual(put[:2], [LENGTH, 0])
        self.assertEqual(put[-1], UNARY)
        got = [f for f in connection.received if f.stream == 3 and f.payload and f.kind != WINDOW]
        self.assertGreater(len(got), 64)
        self.assertEqual([f.flags & LENGTH for f in got], [LENGTH] + [0] * (len(got) - 1))
        self.assertGreater(int.from_bytes(got[0].payload[:4], "big"), 1 << 20)

    def test_message_above_the_window_is_given_credit_for_the_whole_at_once(self):
        connection = self.connect()
        kv = KeyValue(connection)
        entries = [(b"wide%d" % i, os.urandom(1_000_000)) for i in range(2)]
        kv.batch_put(entries)
        sent = sum(size for _, stream, _, size in connection.sent if stream == 1)
        window = connection.hello.limits["stream_window_bytes"]
        self.assertGreater(sent, window)
        grants = [int.from_bytes(f.payload, "big")
                  for f in connection.received if (f.kind, f.stream) == (WINDOW, 1)]
        self.assertEqual(len(grants), 1, grants)
        self.assertGreaterEqual(window + grants[0], sent)
        self.assertEqual(list(kv.scan(b"wide")), entries)

    def test_50_calls_interleave_on_one_connection(self):
        connection = self.connect()
        kv = KeyValue(connection)
        values = {b"turn%d" % i: os.urandom(100_000) for i in range(50)}
        puts = [kv.start_put(key, value) for key, value in values.items()]
        for call in puts:
            connection.wait(call)
        gets = {key: kv.start_get(key) for key in values}
        for key, call in gets.items():
            self.assertEqual(connection.wait(call), field(1, values[key]))
        streams = [stream for _, stream, _, _ in connection.sent]
        self.assertIn(3, streams[:len(streams) - streams[::-1].index(1)])  # Before the last of 1.

    # ---- the connection

    def test_wrong_preface_is_answered_by_nothing_but_the_end(self):
        for preface in b"G", b"GET / HTTP/1.1\r\n\r\n", PREFACE[:7] + b"\x1b":
            with socket.create_connection(self.server.address, timeout=20) as plain:
                plain.sendall(preface)
                try:
                    self.assertEqual(plain.recv(100), b"")
                except ConnectionResetError:
                    pass  # Unread bytes were left behind: also an end.

    def test_versions_without_overlap_end_in_version_mismatch(self):
        connection = self.connect(hello=field(1, 2) + field(2, 3))
        call = KeyValue(connection).start_get(b"key")
        self.assert_fails(connection, call, UNIMPLEMENTED, NOT_STARTED)
        self.assertEqual(connection.goaway[1], VERSION_MISMATCH)

    def test_window_below_the_default_in_hello_is_a_protocol_error(self):
        hello = field(1, 1) + field(2, 1) + field(6, 65_535)
        self.assert_goaway(self.connect(hello=hello), PROTOCOL_ERROR)

    def test_ping_is_answered(self):
        connection = self.connect()
        connection.write(frame(PING, payload=b"tern-py!"))
        answer = Frame(PING, 0, ACK, b"", b"tern-py!")
        connection.wait_until(lambda: answer in connection.received)

    def test_what_is_optional_is_skipped(self):
        connection = self.connect()
        connection.write(frame(0x90, 7, 0xFF, b"block", b"payload"))
        connection.write(frame(PING, 0, OPTIONAL_FLAGS, b"", bytes(8)))
        call = connection.open_raw(GET + field(99, "unknown"), NO_KEY, UNARY | OPTIONAL_FLAGS)
        self.assert_fails(connection, call, NOT_FOUND, FINISHED)

    def test_payload_beyond_the_window_is_a_flow_control_error(self):
        connection = self.connect()
        connection.wait_until(lambda: connection.hello)
        call = connection.open_raw(PUT, length(1 << 20), LENGTH)
        for _ in range(40):  # Of 64 KiB: more than any credit for this message.
            connection.send_data(call, bytes(1 << 16), 0)
        with self.assertRaises((CallError, ConnectionError)):
            connection.wait(call)
        self.assert_goaway(connection, FLOW_CONTROL_ERROR)

    def test_payload_of_an_ended_stream_is_ignored_and_its_credit_returned(self):
        connection = self.connect()
        connection.wait_until(lambda: connection.hello)
        ended = connection.open_raw(call_header("no.Such/Method", 10**7), NO_KEY)
        self.assert_fails(connection, ended, UNIMPLEMENTED, NOT_STARTED)
        window = connection.hello.limits["connection_window_bytes"]
        frames = 3 * window >> 16
        for _ in range(frames):
            connection.wait_until(lambda: connection.send_window >= 1 << 16)
            connection.send_data(ended, bytes(1 << 16), 0)
        self.assert_lives(connection)

    def test_cancelled_call_leaves_the_connection_alone(self):
        connection = self.connect()
        call = connection.open_raw(PUT, length(1 << 20) + bytes(5000), LENGTH)
        connection.cancel(call)
        self.assert_fails(connection, call, CANCELLED, NOT_STARTED)
        self.assert_lives(connection)

    def test_client_ends_a_call_whose_deadline_has_passed(self):
        connection = self.connect()
        call = connection.start(SERVICE + "Get", NO_KEY, timeout=0)
        self.assert_fails(connection, call, DEADLINE_EXCEEDED, NOT_STARTED)
        self.assertEqual(connection.sent, [])

    def test_call_above_the_announced_number_is_unavailable(self):
        connection = self.connect()
        connection.wait_until(lambda: connection.hello)
        for _ in range(connection.hello.limits["max_concurrent_calls"]):
            connection.open_raw(GET, b"", 0)
        self.assert_fails(connection, connection.open_raw(GET, NO_KEY), UNAVAILABLE, NOT_STARTED)

    def test_sigterm_drains_in_two_phases(self):
        server = Server()
        self.addCleanup(server.end)
        with Connection(server.address) as connection:
            connection.answer_pings = False
            pings = lambda: [f for f in connection.received if f.kind == PING]
            request = entry(b"late", bytes(50_000))
            held = connection.open_raw(PUT, length(len(request)) + request[:2000], LENGTH)
            connection.write(frame(PING, payload=b"are you?"))
            connection.wait_until(pings)

            server.process.send_signal(signal.SIGTERM)
            connection.wait_until(lambda: connection.goaway)
            first = connection.goaway
            behind = connection.open_raw(GET, NO_KEY)  # Crosses GOAWAY.
            self.assertEqual(first[:2], (MAX_WINDOW, NO_ERROR))
            connection.wait_until(lambda: len(pings()) == 2)  # The first is our ACK.
            connection.write(frame(PING, 0, ACK, b"", pings()[1].payload))
            connection.wait_until(lambda: connection.goaway != first)
            last, error, _ = connection.goaway
            self.assertEqual(error, NO_ERROR)
            self.assertGreaterEqual(last, held.stream)

            # The call that crossed was served if the server could still promise it.
            code = (NOT_FOUND, FINISHED) if last >= behind.stream else (UNAVAILABLE, NOT_STARTED)
            self.assert_fails(connection, behind, *code)
            above = connection.open_raw(GET, NO_KEY)
            self.assert_fails(connection, above, UNAVAILABLE, NOT_STARTED)
            connection.send_data(held, request[2000:10_000], 0)
            connection.send_data(held, request[10_000:], UNARY)
            self.assertEqual(connection.wait(held), b"")
            with self.assertRaises(ConnectionError):
                connection.wait_until(lambda: False)
        self.assertEqual(server.process.wait(SECONDS_EACH), 0)
        self.assertEqual(server.process.stdout.read(), "drained\n")


def connection_fault(data, error):
    def test(self):
        with socket.create_connection(self.server.address, timeout=20) as plain:
            plain.sendall(PREFACE + frame(HELLO, payload=field(1, 1) + field(2, 1)) + data)
            answer = bytearray()
            while some := plain.recv(1 << 16):
                answer += some
        self.assertEqual(answer[:8], PREFACE)
        del answer[:8]
        frames = list(iter(lambda: take_frame(answer, 1 << 14), None))
        self.assertEqual(frames[0].kind, HELLO)
        self.assertEqual((frames[-1].kind, frames[-1].payload[4:8]), (GOAWAY, length(error)))
        self.assertEqual(answer, b"")
    return test


def stream_fault(block, payload, flags, code):
    def test(self):
        connection = self.connect()
        connection.wait_until(lambda: connection.hello)
        self.assert_fails(connection, connection.open_raw(block, payload, flags), code, NOT_STARTED)
        self.assert_lives(connection)
    return test


for make, table in (connection_fault, CONNECTION_FAULTS), (stream_fault, STREAM_FAULTS):
    for name, values in table.items():
        what = make.__name__ + "_" + re.sub(r"\W+", "_", name.lower())
        setattr(InteropTest, "test_" + what, make(*values))


class Result(unittest.TextTestResult):
    """Also writes a JUnit report."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.suite = xml.etree.ElementTree.Element("testsuite", name="interop_test")

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        case = xml.etree.ElementTree.SubElement(
            self.suite, "testcase", classname="InteropTest", name=test._testMethodName,
            time=f"{time.monotonic() - self.begun:.3f}")
        for failed, text in self.failures + self.errors:
            if failed is test:
                xml.etree.ElementTree.SubElement(case, "failure").text = text

    def stopTestRun(self):
        super().stopTestRun()
        if "XML_OUTPUT_FILE" in os.environ:
            suites = xml.etree.ElementTree.Element("testsuites")
            suites.append(self.suite)
            xml.etree.ElementTree.ElementTree(suites).write(os.environ["XML_OUTPUT_FILE"])


def out_of_time(*_):
    raise TimeoutError(f"the check took more than {SECONDS_EACH} s")


if __name__ == "__main__":
    SERVER = sys.argv.pop(1)
    signal.signal(signal.SIGALRM, out_of_time)
    unittest.main(testRunner=unittest.TextTestRunner(
        stream=sys.stdout, verbosity=2, resultclass=Result))
