#include "tests/testing/pattern.h"

namespace tern::testing {

std::string Pattern(size_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  uint32_t state = seed * 2654435761u + 12345;
  // By pointer: without optimisation, a string's iterators take five times as
  // long, and some tests make gigabytes of this.
  for (char *byte = bytes.data(), *const end = byte + size; byte != end;
       ++byte) {
    state = state * 1664525 + 1013904223;
    *byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace tern::testing
