"""A client of the Tern protocol in plain Python, written from proto/PROTOCOL.md alone.

It proves that the document suffices, and is a start for a client in another language. One thread,
one connection, unary calls:

    with Connection(("127.0.0.1", 7117)) as connection:
        call = connection.start("kv.v1.KeyValue/Get", request, timeout=1)
        reply = connection.wait(call)    # bytes; raises CallError

Calls that are started before the first is waited for run side by side. "Section N" is always one
of PROTOCOL.md.
"""

import collections
import selectors
import socket
import struct
import time

from tern_wire import *  # pylint: disable=wildcard-import,unused-wildcard-import

MIN_CHUNK = 1024  # Shorter ones that do not end their message cost a point, section 10.


class Call:
    def __init__(self, method, request, deadline, limits):
        self.method, self.request, self.deadline = method, request, deadline
        self.stream = None         # Its id, once HEADERS is sent.
        self.sent = 0              # Bytes of the request.
        self.sent_whole = False
        self.send_window = 0
        self.receive_window = limits["stream_window_bytes"]
        self.reader = Reader(limits["max_message_bytes"])
        self.status = None         # Set once it has ended.


class Connection:
    def __init__(self, address, hello=field(1, 1) + field(2, 1) + field(13, "tern-py")):
        self.hello = None          # The server's, once it is here.
        self.goaway = None         # (last, error, reason) of the latest GOAWAY.
        self.closed = False
        self.received = []         # Every Frame.
        self.sent = []             # (type, stream, flags, payload size) of HEADERS and DATA.
        self.answer_pings = True
        self._ours = Hello().limits
        self._theirs = Hello().limits
        self._next_stream = 1
        self._unsent = collections.deque()  # Calls with something to send, next in turn first.
        self._open = {}            # By stream id.
        self.send_window = self._theirs["connection_window_bytes"]
        self._receive_window = self._ours["connection_window_bytes"]
        self._preface_read = False
        self._in, self._out = bytearray(), bytearray()
        self._socket = socket.create_connection(address, timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self.write(PREFACE + frame(HELLO, payload=hello))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._end_connection(NO_ERROR, "closed by the client")

    def start(self, method, request, timeout):
        """Queues a unary call, which begins with the next wait; `timeout` is in seconds."""
        call = Call(method, request, time.monotonic() + timeout, self._ours)
        if self.closed or self.goaway:
            self._end(call, UNAVAILABLE, "the connection takes no more calls")
        else:
            self._unsent.append(call)
        return call

    def wait(self, call, timeout=20):
        """Returns the reply to a call, or raises CallError when it failed."""
        self.wait_until(lambda: call.status, timeout)
        if call.status.code != OK:
            raise CallError(call.status)
        return call.reader.messages[0][0]

    def cancel(self, call, code=CANCELLED, reason="cancelled"):
        if call.status is None:
            if call.stream is not None:
                self.write(frame(CANCEL, call.stream, block=field(1, code)))
            self._end(call, code, reason)

    def wait_until(self, condition, timeout=20):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() >= end:
                raise TimeoutError(f"nothing came of it in {timeout} s")
            if self.closed:
                raise ConnectionError(f"the connection is closed; GOAWAY: {self.goaway}")
            self._turn(end - time.monotonic())

    # ---- for tests, which send what the above never would; it goes out with the next wait

    def write(self, data):
        self._out += data

    def open_raw(self, block, payload=b"", flags=END_MESSAGE | END_STREAM):
        """Opens a stream with one HEADERS frame as it is given; send_data() goes on."""
        call = Call(None, payload, time.monotonic() + 3600, self._ours)
        self._open_stream(call)
        self._send_payload(call, HEADERS, flags, block, payload)
        return call

    def send_data(self, call, payload, flags):
        self._send_payload(call, DATA, flags, b"", payload)

    # ---- the loop

    def _turn(self, timeout):
        """Sends what may be sent, then takes what arrives within `timeout`."""
        now = time.monotonic()
        for call in [*self._unsent, *self._open.values()]:
            if call.deadline <= now:
                self.cancel(call, DEADLINE_EXCEEDED, "its deadline has passed")
            timeout = max(0, min(timeout, call.deadline - now))
        self._fill()
        self._selector.modify(self._socket, selectors.EVENT_READ |
                              (selectors.EVENT_WRITE if self._out else 0))
        try:
            for _, events in self._selector.select(timeout):
                if events & selectors.EVENT_READ:
                    data = self._socket.recv(1 << 18)
                    self._in += data
                    self._take_input()
                    if not data:
                        self._lose("the server closed the connection")
                if events & selectors.EVENT_WRITE and not self.closed:
                    del self._out[:self._socket.send(self._out)]
        except ConnectionFault as fault:
            self._end_connection(fault.error, str(fault))
        except OSError as error:
            self._lose(str(error))
        if self.goaway and not self._open and not self._out:
            self.close()  # Drained.

    def _end_connection(self, error, reason):
        if not self.closed:
            self.write(goaway_frame(error, reason))
            try:
                self._socket.send(self._out)
            except OSError:
                pass  # The server learns it from the end of the connection.
            self._lose(reason)

    def _lose(self, reason):
        """The connection is gone, and with it every call."""
        if not self.closed:
            self.closed = True
            self._selector.close()
            self._socket.close()
            for call in [*self._unsent, *self._open.values()]:
                self._end(call, UNAVAILABLE, reason)

    def _end(self, call, code, message, certainty=None):
        """Ends a call here. The certainty is what section 8 lets a client conclude itself."""
        if call.status is None:
            if certainty is None:
                certainty = MAYBE_STARTED if call.sent_whole else NOT_STARTED
            call.status = Status(code, message, certainty)
            self._open.pop(call.stream, None)
            if call in self._unsent:
                self._unsent.remove(call)

    # ---- sending, sections 6 and 7

    def _fill(self):
        """Queues frames, one of each call in turn, until windows or the buffer are full."""
        stuck = 0
        while stuck < len(self._unsent) and len(self._out) < 1 << 16:
            call = self._unsent.popleft()
            progress = self._send_some(call)
            if call.status is None and not call.sent_whole:
                self._unsent.append(call)
                stuck = 0 if progress else stuck + 1

    def _send_some(self, call):
        """Sends one frame of a request; False when it has to wait."""
        first = call.stream is None
        block = b""
        if first:
            if len(call.request) > self._theirs["max_message_bytes"]:
                if self.hello:  # Until then it may turn out not to be too long.
                    self._end(call, RESOURCE_EXHAUSTED, "the request is too long")
                return False
            if len(self._open) >= self._theirs["max_concurrent_calls"]:
                return False
            left = max(0, call.deadline - time.monotonic())
            block = call_header(call.method, int(left * 1e6))
            call.send_window = self._theirs["stream_window_bytes"]
        room = min(self._theirs["max_frame_bytes"] - len(block),
                   call.send_window, self.send_window)
        rest = len(call.request) - call.sent
        flags, prefix = 0, b""
        if first and rest > room:
            flags, prefix = LENGTH, struct.pack(">I", rest)
        size = min(rest, room - len(prefix))
        if size < min(rest, MIN_CHUNK):
            return False
        chunk = call.request[call.sent:call.sent + size]
        call.sent += size
        if size == rest:
            flags |= END_MESSAGE | END_STREAM
        if first:
            self._open_stream(call)
        self._send_payload(call, HEADERS if first else DATA, flags, block, prefix + chunk)
        return True

    def _open_stream(self, call):
        call.stream = self._next_stream
        call.send_window = self._theirs["stream_window_bytes"]
        self._next_stream += 2
        self._open[call.stream] = call

    def _send_payload(self, call, kind, flags, block, payload):
        call.send_window -= len(payload)
        self.send_window -= len(payload)
        call.sent_whole = bool(flags & END_STREAM)
        self.sent.append((kind, call.stream, flags, len(payload)))
        self.write(frame(kind, call.stream, flags, block, payload))

    # ---- receiving

    def _take_input(self):
        if not self._preface_read:
            if not PREFACE.startswith(self._in[:8]):
                return self._lose("the server does not speak Tern")
            if len(self._in) < 8:
                return
            del self._in[:8]
            self._preface_read = True
        while not self.closed:
            got = take_frame(self._in, self._ours["max_frame_bytes"])
            if got is None:
                return
            self.received.append(got)
            if (self.hello is None) != (got.kind == HELLO):
                raise ConnectionFault(PROTOCOL_ERROR, "HELLO is not the first frame or came twice")
            if got.kind in FRAME_RULES:
                self._take_frame(got)

    def _take_frame(self, got):
        if got.stream and (got.stream % 2 == 0 or got.stream >= self._next_stream):
            raise ConnectionFault(PROTOCOL_ERROR, f"frame on stream {got.stream}, never opened")
        if got.kind == HELLO:
            self._take_hello(Hello.parse(got.payload))
        elif got.kind == WINDOW:
            self._take_window(got.stream, int.from_bytes(got.payload, "big"))
        elif got.kind == PING:
            if not got.flags & ACK and self.answer_pings:
                self.write(frame(PING, 0, ACK, payload=got.payload))
        elif got.kind == GOAWAY:
            last, error = struct.unpack_from(">II", got.payload)
            self._take_goaway(last, error, got.payload[8:].decode(errors="replace"))
        else:
            self._take_stream_frame(got)

    def _take_hello(self, hello):
        if hello.min_version > 1:
            self._take_goaway(0, VERSION_MISMATCH, "the server speaks higher versions only")
            return
        before, self._theirs, self.hello = self._theirs, hello.limits, hello
        more = {name: limit - before[name] for name, limit in hello.limits.items()}
        self.send_window += more["connection_window_bytes"]
        for call in self._open.values():
            call.send_window += more["stream_window_bytes"]

    def _take_window(self, stream, increment):
        if increment == 0:
            raise ConnectionFault(PROTOCOL_ERROR, "WINDOW of 0")
        call, window = self._open.get(stream), 0
        if stream == 0:
            window = self.send_window = self.send_window + increment
        elif call:
            window = call.send_window = call.send_window + increment
        if window > MAX_WINDOW:
            raise ConnectionFault(FLOW_CONTROL_ERROR, "a window above its limit")

    def _take_goaway(self, last, error, reason):
        self.goaway = last, error, reason
        for call in [*self._unsent, *self._open.values()]:
            if error == VERSION_MISMATCH:
                self._end(call, UNIMPLEMENTED, reason, NOT_STARTED)
            elif call.stream is None or call.stream > last:
                self._end(call, UNAVAILABLE, reason, NOT_STARTED)
        if error != NO_ERROR:
            self._lose(f"GOAWAY {error}: {reason}")

    def _take_stream_frame(self, got):
        call, size = self._open.get(got.stream), len(got.payload)
        self._receive_window -= size
        if call:
            call.receive_window -= size
        if self._receive_window < 0 or call and call.receive_window < 0:
            raise ConnectionFault(FLOW_CONTROL_ERROR, "payload beyond the window")
        credit = self._ours["connection_window_bytes"] - self._receive_window
        if credit >= self._ours["connection_window_bytes"] // 2:
            self._receive_window += credit
            self.write(window_frame(0, credit))
        if not call:
            return  # It has ended here already.
        try:
            status = Status.parse(got.block) if got.kind in (STATUS, CANCEL) else None
            to_come = call.reader.take(got.flags, got.payload)
            if to_come:  # Room for the whole message at once.
                call.receive_window += to_come
                self.write(window_frame(call.stream, to_come))
            if status and got.kind == CANCEL and status.code == OK:
                status.code = CANCELLED
            if status and status.code == OK and (
                    len(call.reader.messages) != 1 or call.reader.partial is not None):
                raise StreamFault(INTERNAL, "OK without exactly one reply")
            if status:
                self._end(call, status.code, status.message, status.certainty)
        except StreamFault as fault:
            if got.kind in (HEADERS, DATA):
                self.cancel(call, fault.code, str(fault))
            self._end(call, fault.code, str(fault), MAYBE_STARTED)
