// Makes calls through two sessions in memory, for a tool that counts the
// instructions: check_instructions.py.
//
//   unary_path CALLS AT_ONCE

#include <cstdio>
#include <cstdlib>

#include "bench/micro/echo_sessions.h"

int main(int argc, char** argv) {
  const int calls = argc > 1 ? std::atoi(argv[1]) : 0;
  const int at_once = argc > 2 ? std::atoi(argv[2]) : 0;
  if (calls <= 0 || at_once <= 0 || calls % at_once != 0 ||
      at_once > tern::bench::EchoSessions::kMostAtOnce) {
    std::fprintf(stderr, "unary_path CALLS AT_ONCE\n");
    return 1;
  }
  tern::bench::EchoSessions sessions(/*message_bytes=*/64);
  for (int i = 0; i < calls; i += at_once) sessions.CallAtOnce(at_once);
}
