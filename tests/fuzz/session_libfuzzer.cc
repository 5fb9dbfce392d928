// The entry of libFuzzer: see README.md.

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"
#include "tests/fuzz/session_fuzzer.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  (void)argc;
  (void)argv;
  // A broken promise of the session's must stop the fuzzer.
  ::testing::GTEST_FLAG(break_on_failure) = true;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tern::testing::FuzzSession({reinterpret_cast<const char*>(data), size});
  return 0;
}
