#ifndef TERN_TESTS_TESTING_PATTERN_H_
#define TERN_TESTS_TESTING_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace tern::testing {

// `size` bytes that differ from place to place, and from seed to seed.
std::string Pattern(size_t size, uint32_t seed = 0);

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_PATTERN_H_
