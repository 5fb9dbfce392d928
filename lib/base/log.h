#ifndef TERN_LIB_BASE_LOG_H_
#define TERN_LIB_BASE_LOG_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>

#include "tern/lib/base/monotonic_time.h"

namespace tern {

// Tern's own log: a line for a person, to stderr unless a sink is set. Nothing
// is logged on the path of a successful call.

enum class LogSeverity { kInfo, kWarning, kError, kFatal };

// Receives each line (without a newline). May be called from any thread, and
// from several at once.
using LogSink = std::function<void(LogSeverity, std::string_view file, int line,
                                   std::string_view text)>;

// Replaces the sink; nullptr restores stderr. Lines of kFatal also go to
// stderr. The old sink may still be in use by other threads when this returns.
void SetLogSink(LogSink sink);

// Text from a peer or a user, made safe for one line of a log: control
// characters (also those that reorder text), backslashes and bytes that are not
// UTF-8 escaped, cut to `max_bytes` (at least 3) with "..." included.
std::string EscapeForLog(std::string_view text, size_t max_bytes = 256);

// Allows one line a second for a class of events and counts the rest, so that
// a peer cannot flood the log. Thread-safe.
class LogRateLimiter {
 public:
  // True when a line may be written now. `*suppressed` gets the number of
  // events that were not written since the last one that was.
  bool Allow(MonotonicTime now, uint64_t* suppressed);

 private:
  std::atomic<int64_t> next_nanoseconds_{0};
  std::atomic<uint64_t> suppressed_{0};
};

namespace log_internal {

// One line being written; the destructor hands it to the sink, and aborts after
// a kFatal one.
class Line {
 public:
  Line(LogSeverity severity, const char* file, int line);
  ~Line();
  std::ostream& stream() { return stream_; }

 private:
  const LogSeverity severity_;
  const char* const file_;
  const int line_;
  std::ostringstream stream_;
};

struct Voidify {
  void operator&(std::ostream&) {}
};

}  // namespace log_internal
}  // namespace tern

// TERN_LOG(kWarning) << "...";
#define TERN_LOG(severity)                                            \
  ::tern::log_internal::Line(::tern::LogSeverity::severity, __FILE__, \
                             __LINE__)                                \
      .stream()

// Our own mistakes only: nothing that a peer sends may reach a failing CHECK.
#define TERN_CHECK(condition)                     \
  (condition) ? (void)0                           \
              : ::tern::log_internal::Voidify() & \
                    TERN_LOG(kFatal) << "Check failed: " #condition " "

#ifdef NDEBUG
#define TERN_DCHECK(condition) TERN_CHECK(true || (condition))
#else
#define TERN_DCHECK(condition) TERN_CHECK(condition)
#endif

#endif  // TERN_LIB_BASE_LOG_H_
