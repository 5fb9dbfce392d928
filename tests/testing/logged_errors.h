#ifndef TERN_TESTS_TESTING_LOGGED_ERRORS_H_
#define TERN_TESTS_TESTING_LOGGED_ERRORS_H_

#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/mutex.h"

namespace tern::testing {

// The errors that are logged while it lives.
class LoggedErrors {
 public:
  LoggedErrors() {
    SetLogSink([this](LogSeverity severity, std::string_view, int,
                      std::string_view text) {
      if (severity != LogSeverity::kError) return;
      MutexLock lock(mutex_);
      text_ += text;
      text_ += '\n';
    });
  }
  ~LoggedErrors() { SetLogSink(nullptr); }
  std::string text() const {
    MutexLock lock(mutex_);
    return text_;
  }
  bool Have(std::string_view part) const {
    return text().find(part) != std::string::npos;
  }

 private:
  mutable Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_LOGGED_ERRORS_H_
