#include "examples/kv/progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace kv {
namespace {

constexpr int kBarWidth = 30;
constexpr absl::Duration kBarInterval = absl::Milliseconds(100);
constexpr absl::Duration kLineInterval = absl::Seconds(1);
constexpr std::string_view kClearLine = "\r\x1b[K";

}  // namespace

std::string WithCommas(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t i = text.size(); i > 3;) text.insert(i -= 3, ",");
  return text;
}

std::string FormatProgress(uint64_t entries, uint64_t bytes,
                           uint64_t total_bytes, absl::Duration elapsed,
                           bool bar) {
  const double seconds = std::max(0.001, absl::ToDoubleSeconds(elapsed));
  const std::string count = absl::StrCat(
      WithCommas(entries), " entries, ",
      WithCommas(static_cast<uint64_t>(static_cast<double>(entries) / seconds)),
      "/s");
  if (total_bytes == 0) return count;
  const double share = std::min(
      1.0, static_cast<double>(bytes) / static_cast<double>(total_bytes));
  const std::string percent = absl::StrFormat("%3.0f %%", 100 * share);
  if (!bar) return absl::StrCat(percent, "  ", count);
  const int filled = static_cast<int>(share * kBarWidth);
  return absl::StrCat("[", std::string(filled, '='),
                      std::string(kBarWidth - filled, ' '), "] ", percent, "  ",
                      count);
}

Progress::Progress(uint64_t total_bytes)
    : total_bytes_(total_bytes),
      terminal_(isatty(STDERR_FILENO) == 1),
      started_(tern::MonotonicTime::Now()),
      next_(started_ + (terminal_ ? kBarInterval : kLineInterval)) {}

Progress::~Progress() {
  if (terminal_) std::cerr << kClearLine << std::flush;
}

void Progress::Update(uint64_t entries, uint64_t bytes) {
  const tern::MonotonicTime now = tern::MonotonicTime::Now();
  if (now < next_) return;
  next_ = now + (terminal_ ? kBarInterval : kLineInterval);
  const std::string text =
      FormatProgress(entries, bytes, total_bytes_, now - started_, terminal_);
  if (terminal_) {
    std::cerr << kClearLine << text << std::flush;
  } else {
    std::cerr << text << "\n";
  }
}

void Progress::PrintLine(std::string_view line) {
  if (terminal_) std::cerr << kClearLine;
  std::cerr << line << "\n";
}

}  // namespace kv
