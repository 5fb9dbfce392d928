"""The KeyValue service of examples/kv/kv.proto over tern_client: messages encoded by hand."""

from tern_wire import field, parse_message

SERVICE = "kv.v1.KeyValue/"


class KeyValue:
    """Every method raises tern_wire.CallError when its call fails; `timeout` is in seconds."""

    def __init__(self, connection, timeout=20):
        self.connection = connection
        self.timeout = timeout

    def get(self, key):
        return first(parse_message(self._call("Get", field(1, key))), 1)

    def put(self, key, value):
        self._call("Put", entry(key, value))

    def delete(self, key):
        self._call("Delete", field(1, key))

    def batch_put(self, entries):
        self._call("BatchPut", b"".join(field(1, entry(*pair)) for pair in entries))

    def scan(self, prefix=b"", page_size=0):
        """Yields every (key, value) whose key starts with the prefix, page by page."""
        token = b""
        while True:
            request = field(1, prefix) + field(2, page_size) + field(3, token)
            page = parse_message(self._call("Scan", request))
            for item in page[1]:
                pair = parse_message(item)
                yield first(pair, 1), first(pair, 2)
            token = first(page, 2)
            if not token:
                return

    def start_get(self, key):
        return self.connection.start(SERVICE + "Get", field(1, key), self.timeout)

    def start_put(self, key, value):
        return self.connection.start(SERVICE + "Put", entry(key, value), self.timeout)

    def _call(self, method, request):
        return self.connection.wait(self.connection.start(SERVICE + method, request, self.timeout))


def entry(key, value):
    """An Entry, and with the same fields a PutRequest."""
    return field(1, key) + field(2, value)


def first(fields, number):
    """The value of a `bytes` field, empty when it is absent."""
    return fields[number][-1] if fields[number] else b""
