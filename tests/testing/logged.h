#ifndef TERN_TESTS_TESTING_LOGGED_H_
#define TERN_TESTS_TESTING_LOGGED_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/mutex.h"

namespace tern::testing {

// What was logged while it lives, of one severity. It outlives what logs.
class Logged {
 public:
  explicit Logged(LogSeverity severity) {
    SetLogSink([this, severity](LogSeverity of_line, std::string_view, int,
                                std::string_view text) {
      if (of_line != severity) return;
      MutexLock lock(mutex_);
      lines_.emplace_back(text);
    });
  }
  ~Logged() { SetLogSink(nullptr); }

  std::vector<std::string> lines() const {
    MutexLock lock(mutex_);
    return lines_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_LOGGED_H_
