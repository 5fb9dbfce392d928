#ifndef TERN_TESTS_GOLDEN_VECTOR_FILE_H_
#define TERN_TESTS_GOLDEN_VECTOR_FILE_H_

#include <string>
#include <vector>

namespace tern::testing {

// One vector of tests/golden, as README.md there describes them.
struct GoldenVector {
  struct Line {
    std::string verb;
    std::string text;
    std::string bytes;  // Of `in`, and of `out` when those are bytes.
    int number = 0;     // In the file.
  };

  std::string file;  // "frame"
  std::string name;
  std::string about;
  bool is_client = false;
  bool hold = false;
  bool greeting = true;
  std::string end;
  std::vector<std::pair<std::string, uint64_t>> limits;
  std::vector<Line> lines;  // Steps and expectations, in their order.
};

// All vectors of all files. Aborts with file and line when one is malformed.
std::vector<GoldenVector> ReadGoldenVectors();

}  // namespace tern::testing

#endif  // TERN_TESTS_GOLDEN_VECTOR_FILE_H_
