// Counts what a unary call costs in lib/wire, at both ends together:
//     bench/unary_path/count.sh bazel-bin/bench/unary_path/unary_path
//
//   unary_path [CALLS]

#include <cstdlib>
#include <iostream>

#include "bench/unary_path/unary_calls.h"

int main(int argc, char** argv) {
  constexpr size_t kCallsPerTurn = 64;
  const uint64_t calls =
      argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 64'000;
  tern::bench::UnaryCalls unary;
  while (unary.ended() < calls) unary.Run(kCallsPerTurn);
  std::cout << unary.ended() << " calls; sizeof(Session) "
            << sizeof(tern::wire::Session) << ", sizeof(Stream) "
            << sizeof(tern::wire::Stream) << "\n";
}
