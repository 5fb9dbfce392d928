#ifndef TERN_LIB_COMPRESS_KEPT_STATES_H_
#define TERN_LIB_COMPRESS_KEPT_STATES_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/mutex.h"

namespace tern {

// States of a codec, which take long to make, for the next message: a few, and
// not one for each thread. Thread-safe.
template <typename State>
class KeptStates {
 public:
  static constexpr size_t kMaxKept = 4;

  // One that was given back, or a new one; nullptr when that can't be made.
  template <typename Make>
  std::unique_ptr<State> Take(Make make) {
    {
      MutexLock lock(mutex_);
      if (!kept_.empty()) {
        std::unique_ptr<State> state = std::move(kept_.back());
        kept_.pop_back();
        return state;
      }
    }
    return make();
  }

  void Give(std::unique_ptr<State> state) {
    MutexLock lock(mutex_);
    if (kept_.size() < kMaxKept) kept_.push_back(std::move(state));
  }

 private:
  Mutex mutex_;
  std::vector<std::unique_ptr<State>> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern

#endif  // TERN_LIB_COMPRESS_KEPT_STATES_H_
