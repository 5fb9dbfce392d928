@0xb2b1a6d1c2f0e9a7;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("tern::bench");

# What echo.proto says, in Cap'n Proto's words.
interface CapnpEcho {
  # Answers with the request.
  call @0 (body :Data) -> (body :Data);
  # Sleeps in its handler, then answers with nothing.
  block @1 (milliseconds :UInt32) -> ();
}
