namespace cpp tern.bench.thrift_echo

// What echo.proto says, in Thrift's words.

struct Payload {
  1: binary body
}

service Echo {
  // Answers with the request.
  Payload Call(1: Payload request)
  // Sleeps in its handler, then answers with nothing.
  Payload Block(1: i32 milliseconds)
}
