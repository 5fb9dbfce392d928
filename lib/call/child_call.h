#ifndef TERN_LIB_CALL_CHILD_CALL_H_
#define TERN_LIB_CALL_CHILD_CALL_H_

#include <memory>

#include "tern/lib/call/ambient_call.h"
#include "tern/lib/call/cancellation.h"

namespace tern {

// What a call hands down to work that may go on when the call itself is gone:
// its deadline, trace and priority, and its Cancellation, shared.
//
// Thread-safe once made.
class HandedDownCall final : private CancellationSource {
 public:
  // `parent` may be null: nothing is handed down.
  explicit HandedDownCall(const AmbientCall* parent);
  HandedDownCall(const HandedDownCall&) = delete;
  HandedDownCall& operator=(const HandedDownCall&) = delete;

  // nullptr when there was no parent.
  const AmbientCall* ambient() const {
    return has_parent_ ? &ambient_ : nullptr;
  }

 private:
  std::shared_ptr<Cancellation> ShareCancellation() override {
    return cancellation_;
  }

  const bool has_parent_;
  AmbientCall ambient_;
  std::shared_ptr<Cancellation> cancellation_;
};

// A part of a call that can be cancelled by itself, and is when the call is.
//
// Thread-safe. The parent's ambient call outlives it.
class CancellablePart final : private CancellationSource {
 public:
  // `parent` may be null: outside handlers.
  explicit CancellablePart(const AmbientCall* parent);
  CancellablePart(const CancellablePart&) = delete;
  CancellablePart& operator=(const CancellablePart&) = delete;

  const AmbientCall* ambient() const { return &ambient_; }
  void Cancel() { cancellation_->Cancel(); }

 private:
  std::shared_ptr<Cancellation> ShareCancellation() override {
    return cancellation_;
  }

  AmbientCall ambient_;
  const std::shared_ptr<Cancellation> cancellation_;
  std::shared_ptr<Cancellation> parents_;  // Outlives the registration.
  Cancellation::Registration registration_;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_CHILD_CALL_H_
