#include "examples/kv/line_reader.h"

namespace kv {

LineReader::Result LineReader::Next(std::string* line) {
  line->clear();
  bool too_long = false;
  int c = getc_unlocked(file_);
  if (c == EOF) return ferror(file_) ? Result::kFailed : Result::kEnd;
  ++line_number_;
  for (; c != EOF; c = getc_unlocked(file_)) {
    ++bytes_read_;
    if (c == '\n') break;
    if (line->size() == max_line_bytes_) {
      too_long = true;
    } else {
      line->push_back(static_cast<char>(c));
    }
  }
  if (ferror(file_)) return Result::kFailed;
  return too_long ? Result::kTooLong : Result::kLine;
}

}  // namespace kv
