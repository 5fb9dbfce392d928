// The fuzzer's function over its corpus, the golden vectors, as they are and
// damaged: what runs without libFuzzer, in every build.

#include "tests/fuzz/session_fuzzer.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/golden/vector_file.h"

namespace tern::testing {
namespace {

// A vector as an input of the fuzzer, without the byte of choices.
std::string InputOf(const GoldenVector& vector) {
  std::string input;
  for (const GoldenVector::Line& line : vector.lines) {
    if (line.verb == "in") input += line.bytes;
    if (line.verb == "wait") {
      const int ms = std::stoi(line.text);
      input += {'\xfe', 'T', static_cast<char>(ms >> 8), static_cast<char>(ms)};
    }
  }
  return input;
}

TEST(SessionFuzzer, BearsTheGoldenVectors) {
  for (const GoldenVector& vector : ReadGoldenVectors()) {
    const std::string input = InputOf(vector);
    // Long ones in one piece only: byte by byte is golden_test's work.
    for (int choices = 0; choices < (input.size() < 3000 ? 16 : 8); ++choices) {
      FuzzSession(static_cast<char>(choices) + input);
    }
    ASSERT_FALSE(HasFailure()) << vector.file << "/" << vector.name;
  }
}

TEST(SessionFuzzer, BearsDamagedGoldenVectors) {
  std::vector<std::string> corpus;
  for (const GoldenVector& vector : ReadGoldenVectors()) {
    corpus.push_back(InputOf(vector).substr(0, 3000));
  }
  for (size_t i = 0; i < corpus.size(); ++i) {
    std::mt19937_64 random(i);
    for (int round = 0; round < 10; ++round) {
      // The beginning of one and the end of another, and some bytes changed.
      std::string input = corpus[i];
      if (random() % 3 == 0) {
        const std::string& other = corpus[random() % corpus.size()];
        input.resize(random() % (input.size() + 1));
        input += other.substr(other.size() - random() % (other.size() + 1));
      }
      for (uint64_t left = random() % 5; left > 0 && !input.empty(); --left) {
        input[random() % std::min<size_t>(input.size(), 300)] =
            static_cast<char>(random() % 4 == 0 ? random() : random() % 10);
      }
      FuzzSession(static_cast<char>(random()) + input);
      ASSERT_FALSE(HasFailure()) << i << " " << round;
    }
  }
}

}  // namespace
}  // namespace tern::testing
