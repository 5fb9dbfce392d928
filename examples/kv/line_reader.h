#ifndef TERN_EXAMPLES_KV_LINE_READER_H_
#define TERN_EXAMPLES_KV_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace kv {

// Reads a file line by line, remembering where it is, in bounded memory. Not
// thread-safe.
class LineReader {
 public:
  enum class Result {
    kLine,     // A line; the last one needs no line feed.
    kTooLong,  // The line was longer than max_line_bytes, and was skipped.
    kEnd,
    kFailed,  // Reading failed: errno says why.
  };

  // `file` is borrowed.
  LineReader(std::FILE* file, size_t max_line_bytes)
      : file_(file), max_line_bytes_(max_line_bytes) {}

  // Without its line feed.
  Result Next(std::string* line);

  uint64_t line_number() const { return line_number_; }  // From 1.
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  std::FILE* const file_;
  const size_t max_line_bytes_;
  uint64_t line_number_ = 0;
  uint64_t bytes_read_ = 0;
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_LINE_READER_H_
