#ifndef TERN_LIB_CALL_CANCELLATION_H_
#define TERN_LIB_CALL_CANCELLATION_H_

#include <atomic>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "tern/lib/base/mutex.h"

namespace tern {

// The fact that somebody no longer wants an outcome: set once, never unset.
//
// Thread-safe. Whoever runs work polls cancelled(), or registers a callback
// to be told. Callbacks run on the cancelling thread: they must not block.
class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  // Runs the callbacks that are registered. Later calls do nothing.
  void Cancel();

  // Unregisters its callback when destroyed, and then waits if the callback is
  // running on another thread at that moment: it is never called afterwards.
  class Registration {
   public:
    Registration() = default;
    Registration(Registration&& other) noexcept;
    Registration& operator=(Registration&& other) noexcept;
    ~Registration() { Reset(); }
    void Reset();

   private:
    friend class Cancellation;
    struct Node;
    Registration(Cancellation* owner, std::shared_ptr<Node> node);
    Cancellation* owner_ = nullptr;
    std::shared_ptr<Node> node_;
  };

  // Calls `callback` once when Cancel() is called; at once when it was already.
  // The Cancellation outlives the registration. O(1), as its end is.
  [[nodiscard]] Registration OnCancel(absl::AnyInvocable<void()> callback);

 private:
  void Unregister(Registration::Node& node);
  void Unlink(Registration::Node& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<bool> cancelled_{false};
  Mutex mutex_;
  // A list through the nodes, in order of registration: a call may have many
  // (one for each sleep and each child call), and they come and go. Whoever has
  // the registration has the node.
  Registration::Node* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Registration::Node* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_CANCELLATION_H_
