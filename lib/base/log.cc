#include "tern/lib/base/log.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tern/lib/base/mutex.h"

namespace tern {
namespace {

struct SinkSlot {
  Mutex mutex;
  // Shared, so that a line that is being written keeps its sink alive while
  // another thread replaces it.
  std::shared_ptr<const LogSink> sink ABSL_GUARDED_BY(mutex);
};

SinkSlot& GetSinkSlot() {
  // Never destroyed: threads may log while the process exits.
  static SinkSlot* const slot = new SinkSlot;
  return *slot;
}

std::shared_ptr<const LogSink> CurrentSink() {
  SinkSlot& slot = GetSinkSlot();
  MutexLock lock(slot.mutex);
  return slot.sink;
}

std::string_view BaseName(std::string_view file) {
  const size_t slash = file.rfind('/');
  return slash == std::string_view::npos ? file : file.substr(slash + 1);
}

// One write(2) a line, so that lines of several threads do not mix.
void WriteToStderr(LogSeverity severity, std::string_view file, int line,
                   std::string_view text) {
  static constexpr char kLetters[] = {'I', 'W', 'E', 'F'};
  std::string out(1, kLetters[static_cast<int>(severity)]);
  out += absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ ", absl::Now(),
                          absl::UTCTimeZone());
  out.append(BaseName(file)).append(":").append(std::to_string(line));
  out.append("] ").append(text).append("\n");
  // A log that can't be written has nowhere to say so.
  [[maybe_unused]] const ssize_t written =
      write(STDERR_FILENO, out.data(), out.size());
}

// The bytes of the UTF-8 character at the start of `text`, or 0 when there is
// none (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF).
size_t Utf8Length(std::string_view text, uint32_t* character) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  size_t length;
  uint32_t smallest;
  if (first < 0x80) {
    *character = first;
    return 1;
  } else if ((first & 0xe0) == 0xc0) {
    length = 2, smallest = 0x80, *character = first & 0x1f;
  } else if ((first & 0xf0) == 0xe0) {
    length = 3, smallest = 0x800, *character = first & 0x0f;
  } else if ((first & 0xf8) == 0xf0) {
    length = 4, smallest = 0x10000, *character = first & 0x07;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    *character = *character << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = *character >= 0xd800 && *character <= 0xdfff;
  if (*character < smallest || *character > 0x10ffff || surrogate) return 0;
  return length;
}

// Characters that could end the line, drive a terminal, or show the rest of the
// line in another order than it has.
bool IsUnsafe(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) ||  // C0, DEL and C1 controls.
         c == 0x2028 || c == 0x2029 ||            // Line separators.
         c == 0x200e || c == 0x200f ||            // Direction marks,
         (c >= 0x202a && c <= 0x202e) ||          // overrides
         (c >= 0x2066 && c <= 0x2069);            // and isolates.
}

void AppendEscapedByte(char byte, std::string* out) {
  switch (byte) {
    case '\n':
      out->append("\\n");
      return;
    case '\r':
      out->append("\\r");
      return;
    case '\t':
      out->append("\\t");
      return;
  }
  char hex[5];
  std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<uint8_t>(byte));
  out->append(hex);
}

// Appends what stands at the start of `text`, escaped if needed; returns how
// many bytes of `text` that was.
size_t AppendOneEscaped(std::string_view text, std::string* out) {
  uint32_t character;
  const size_t length = Utf8Length(text, &character);
  if (length == 0) {
    AppendEscapedByte(text[0], out);
    return 1;
  }
  if (character == '\\') {
    out->append("\\\\");  // So that an escape can't be forged.
  } else if (IsUnsafe(character)) {
    for (const char byte : text.substr(0, length)) AppendEscapedByte(byte, out);
  } else {
    out->append(text.substr(0, length));
  }
  return length;
}

}  // namespace

void SetLogSink(LogSink sink) {
  std::shared_ptr<const LogSink> shared;
  if (sink != nullptr) shared = std::make_shared<LogSink>(std::move(sink));
  SinkSlot& slot = GetSinkSlot();
  MutexLock lock(slot.mutex);
  slot.sink.swap(shared);
}

std::string EscapeForLog(std::string_view text, size_t max_bytes) {
  static constexpr std::string_view kCut = "...";
  if (max_bytes < kCut.size()) max_bytes = kCut.size();
  std::string out;
  size_t cut_at = 0;  // The longest prefix that leaves room for kCut.
  while (!text.empty()) {
    text.remove_prefix(AppendOneEscaped(text, &out));
    if (out.size() > max_bytes) {
      out.resize(cut_at);
      out.append(kCut);
      return out;
    }
    if (out.size() + kCut.size() <= max_bytes) cut_at = out.size();
  }
  return out;
}

bool LogRateLimiter::Allow(MonotonicTime now, uint64_t* suppressed) {
  *suppressed = 0;
  int64_t next = next_nanoseconds_.load(std::memory_order_relaxed);
  const int64_t after = (now + absl::Seconds(1)).nanoseconds();
  while (now.nanoseconds() >= next) {
    if (next_nanoseconds_.compare_exchange_weak(next, after,
                                                std::memory_order_relaxed)) {
      *suppressed = suppressed_.exchange(0, std::memory_order_relaxed);
      return true;
    }
  }
  suppressed_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

namespace log_internal {

Line::Line(LogSeverity severity, const char* file, int line)
    : severity_(severity), file_(file), line_(line) {}

Line::~Line() {
  const std::string text = stream_.str();
  const std::shared_ptr<const LogSink> sink = CurrentSink();
  if (sink != nullptr) (*sink)(severity_, file_, line_, text);
  if (sink == nullptr || severity_ == LogSeverity::kFatal) {
    WriteToStderr(severity_, file_, line_, text);
  }
  if (severity_ == LogSeverity::kFatal) std::abort();
}

}  // namespace log_internal
}  // namespace tern
