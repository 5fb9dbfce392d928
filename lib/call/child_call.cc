#include "tern/lib/call/child_call.h"

namespace tern {

HandedDownCall::HandedDownCall(const AmbientCall* parent)
    : has_parent_(parent != nullptr) {
  if (parent == nullptr) return;
  ambient_ = *parent;
  if (parent->cancellation == nullptr) return;
  cancellation_ = parent->cancellation->ShareCancellation();
  ambient_.cancellation = this;
}

CancellablePart::CancellablePart(const AmbientCall* parent)
    : cancellation_(std::make_shared<Cancellation>()) {
  if (parent != nullptr) ambient_ = *parent;
  ambient_.cancellation = this;
  if (parent == nullptr || parent->cancellation == nullptr) return;
  parents_ = parent->cancellation->ShareCancellation();
  registration_ =
      parents_->OnCancel([share = cancellation_] { share->Cancel(); });
}

}  // namespace tern
