"""The bytes of the Tern protocol: protobuf's wire format, frames, HELLO, messages and status.

Written from proto/PROTOCOL.md and proto/tern/*.proto alone; "section N" is one of PROTOCOL.md.
"""

import collections
import dataclasses
import struct

PREFACE = b"\xD4TERN\r\n\x1A"
HELLO, HEADERS, DATA, STATUS, CANCEL, WINDOW, PING, GOAWAY = range(1, 9)
END_STREAM = ACK = 0x01
END_MESSAGE, LENGTH, ATTACHMENT, COMPRESSED, CHECKSUM = 0x02, 0x04, 0x08, 0x10, 0x20
MESSAGE_FLAGS = END_MESSAGE | LENGTH | ATTACHMENT | COMPRESSED
OPTIONAL_TYPE, OPTIONAL_FLAGS = 0x80, 0xC0

NO_ERROR, PROTOCOL_ERROR, FRAME_TOO_LARGE, FLOW_CONTROL_ERROR, VERSION_MISMATCH, ABUSE, TIMEOUT, \
    DATA_CORRUPT, INTERNAL_ERROR, OVERLOADED = range(10)
OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = range(6)
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 8, 12, 13, 14
MAYBE_STARTED, NOT_STARTED, FINISHED = range(3)

MAX_WINDOW = 2**31 - 1

# What a client may receive, section 4: on stream 0 (None: any), flags, header block, payload sizes.
# CHECKSUM is a feature that this client does not announce.
FRAME_RULES = {
    HELLO: (True, 0, False, range(1025)),
    HEADERS: (False, MESSAGE_FLAGS, True, None),
    DATA: (False, MESSAGE_FLAGS, False, None),
    STATUS: (False, MESSAGE_FLAGS, True, None),
    CANCEL: (False, 0, True, range(1)),
    WINDOW: (None, 0, False, range(4, 5)),
    PING: (True, ACK, False, range(8, 9)),
    GOAWAY: (True, 0, False, range(8, 8 + 257)),
}

# The limits of a HELLO by their names in hello.proto: field number, default, lowest, highest.
LIMITS = {
    "max_frame_bytes": (4, 16_384, 16_384, 16_777_216),
    "max_message_bytes": (5, 4_194_304, 1, 2**32 - 1),
    "stream_window_bytes": (6, 65_536, 65_536, MAX_WINDOW),
    "connection_window_bytes": (7, 262_144, 262_144, MAX_WINDOW),
    "max_concurrent_calls": (8, 100, 1, 2**32 - 1),
}


class ConnectionFault(Exception):
    """The peer broke a rule that ends the connection; `error` is GOAWAY's."""

    def __init__(self, error, reason):
        super().__init__(reason)
        self.error = error


class StreamFault(Exception):
    """The peer broke a rule that ends one stream; `code` is the status'."""

    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code


# ---- protobuf's wire format: https://protobuf.dev/programming-guides/encoding -------------------


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    """One field: an int as a varint, bytes or str with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse_varint(data, position):
    number = 0
    for shift in range(0, 70, 7):
        if position == len(data):
            raise ValueError("cut inside a varint")
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (1 << 64) - 1, position
    raise ValueError("a varint of more than 10 bytes")


def parse_message(data):
    """Returns {field number: [value, ...]}, values as int or bytes."""
    fields = collections.defaultdict(list)
    position = 0
    while position < len(data):
        tag, position = parse_varint(data, position)
        kind, size = tag & 7, None
        if kind == 0:
            value, position = parse_varint(data, position)
            fields[tag >> 3].append(value)
            continue
        if kind == 2:
            size, position = parse_varint(data, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        if size is None or tag >> 3 == 0 or position + size > len(data):
            raise ValueError("not a protobuf message")
        value = bytes(data[position:position + size])
        fields[tag >> 3].append(value if kind == 2 else int.from_bytes(value, "little"))
        position += size
    return fields


# ---- frames and header blocks, sections 4 and 5 -------------------------------------------------

Frame = collections.namedtuple("Frame", "kind stream flags block payload")


def frame(kind, stream=0, flags=0, block=b"", payload=b""):
    size = len(block) + len(payload)
    return struct.pack(">IIBBH", size, stream, kind, flags, len(block)) + block + payload


def window_frame(stream, increment):
    return frame(WINDOW, stream, payload=struct.pack(">I", increment))


def goaway_frame(error, reason):
    return frame(GOAWAY, payload=struct.pack(">II", 0, error) + reason.encode()[:256])


def call_header(method, timeout_us, metadata=()):
    return field(1, method) + field(2, timeout_us) + b"".join(
        field(3, field(1, key) + field(2, value)) for key, value in metadata)


def take_frame(buffer, max_bytes):
    """Takes the first frame out of `buffer`; None when it is not complete yet."""
    if len(buffer) < 12:
        return None
    size, stream, kind, flags, block_size = struct.unpack_from(">IIBBH", buffer)
    if size > max_bytes:
        raise ConnectionFault(FRAME_TOO_LARGE, f"a frame of {size} bytes")
    if len(buffer) < 12 + size:
        return None
    data = bytes(buffer[:12 + size])
    del buffer[:12 + size]
    if kind not in FRAME_RULES:
        if kind & OPTIONAL_TYPE:
            return Frame(kind, stream, flags, b"", data[12:])
        raise ConnectionFault(PROTOCOL_ERROR, f"unknown frame type {kind}")
    block, payload = data[12:12 + block_size], data[12 + block_size:]
    on_zero, allowed, has_block, sizes = FRAME_RULES[kind]
    if (block_size > size or flags & ~(allowed | OPTIONAL_FLAGS) or block and not has_block or
            on_zero not in (None, stream == 0) or sizes and len(payload) not in sizes):
        raise ConnectionFault(PROTOCOL_ERROR, f"malformed frame of type {kind}")
    return Frame(kind, stream, flags, block, payload)


@dataclasses.dataclass
class Hello:
    """What a side announces, section 3; without arguments what holds until it has arrived."""
    min_version: int = 1
    limits: dict = dataclasses.field(
        default_factory=lambda: {name: rule[1] for name, rule in LIMITS.items()})

    @staticmethod
    def parse(payload):
        try:
            fields = {number: values[-1] for number, values in parse_message(payload).items()}
        except ValueError as error:
            raise ConnectionFault(PROTOCOL_ERROR, f"HELLO: {error}") from error
        if not 1 <= fields.get(1, 0) <= fields.get(2, 0):
            raise ConnectionFault(PROTOCOL_ERROR, "HELLO without versions")
        hello = Hello(fields[1])
        for name, (number, default, lowest, highest) in LIMITS.items():
            hello.limits[name] = fields.get(number) or default
            if not lowest <= hello.limits[name] <= highest:
                raise ConnectionFault(PROTOCOL_ERROR, f"HELLO: {name} is out of range")
        return hello


# ---- messages and status, sections 6 and 8 ------------------------------------------------------


class Reader:
    """Puts the messages of one stream together from the payloads of its frames."""

    def __init__(self, max_message_bytes):
        self.messages = []         # (message, attachment) of each that is complete.
        self.partial = None        # What has arrived of the one under way.
        self._max_message_bytes = max_message_bytes
        self._length = self._attachment = 0

    def take(self, flags, payload):
        """Returns how many bytes of the message are still to come, known when it starts."""
        flags &= MESSAGE_FLAGS
        announced = 0
        if self.partial is None:
            if not payload and not flags:
                return 0
            prefix = 4 * bool(flags & LENGTH) + 4 * bool(flags & ATTACHMENT)
            if len(payload) < prefix or not flags & (LENGTH | END_MESSAGE) or flags & COMPRESSED:
                raise StreamFault(INTERNAL, "malformed start of a message")
            self._length = self._attachment = 0
            if flags & ATTACHMENT:
                self._attachment = int.from_bytes(payload[prefix - 4:prefix], "big")
            if flags & LENGTH:
                self._length = int.from_bytes(payload[:4], "big")
            payload = payload[prefix:]
            if not flags & LENGTH:
                self._length = len(payload)
            if self._length > self._max_message_bytes:
                raise StreamFault(RESOURCE_EXHAUSTED, f"a message of {self._length} bytes")
            announced = self._length - len(payload)
            self.partial = bytearray()
        elif flags & ~END_MESSAGE:
            raise StreamFault(INTERNAL, "a later chunk has the flags of the first")
        self.partial += payload
        if (len(self.partial) > self._length or
                flags & END_MESSAGE and len(self.partial) < max(self._length, self._attachment)):
            raise StreamFault(INTERNAL, "a message is not as long as announced")
        if flags & END_MESSAGE:
            end = self._length - self._attachment
            self.messages.append((bytes(self.partial[:end]), bytes(self.partial[end:])))
            self.partial = None
        return announced


@dataclasses.dataclass
class Status:
    code: int
    message: str = ""
    certainty: int = MAYBE_STARTED

    @staticmethod
    def parse(block):
        try:
            fields = parse_message(block)
            if any(len(fields[number]) > 1 for number in (1, 2, 4, 5, 6, 7, 8, 10)):
                raise ValueError("a field occurs twice")
            code, message, certainty = (fields[number][0] if fields[number] else default for
                                        number, default in ((1, 0), (2, b""), (4, 0)))
            return Status(code if code <= 16 else UNKNOWN, message.decode(),
                          certainty if certainty <= FINISHED else MAYBE_STARTED)
        except (ValueError, TypeError, AttributeError) as error:
            raise StreamFault(INTERNAL, f"malformed status: {error}") from error


class CallError(Exception):
    """A call that did not end OK."""

    def __init__(self, status):
        super().__init__(f"code {status.code}, certainty {status.certainty}: {status.message}")
        self.status = status
