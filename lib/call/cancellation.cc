#include "tern/lib/call/cancellation.h"

#include <thread>
#include <utility>

namespace tern {

struct Cancellation::Registration::Node
    : std::enable_shared_from_this<Cancellation::Registration::Node> {
  absl::AnyInvocable<void()> callback;
  // Guarded by the owner's mutex_.
  Node* previous = nullptr;
  Node* next = nullptr;
  bool listed = false;
  bool running = false;
  std::thread::id runner;
  // Of him who waits until the callback has returned: on his stack, so that a
  // Cancellation, of which each waiting call may have one, has no room for it.
  CondVar* ran = nullptr;
};

Cancellation::Registration::Registration(Cancellation* owner,
                                         std::shared_ptr<Node> node)
    : owner_(owner), node_(std::move(node)) {}

Cancellation::Registration::Registration(Registration&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      node_(std::move(other.node_)) {}

Cancellation::Registration& Cancellation::Registration::operator=(
    Registration&& other) noexcept {
  Reset();
  owner_ = std::exchange(other.owner_, nullptr);
  node_ = std::move(other.node_);
  return *this;
}

void Cancellation::Registration::Reset() {
  if (owner_ == nullptr) return;
  owner_->Unregister(*node_);
  owner_ = nullptr;
  node_.reset();
}

void Cancellation::Unregister(Registration::Node& node) {
  MutexLock lock(mutex_);
  if (node.listed) return Unlink(node);
  // A callback may drop its own registration.
  if (!node.running || node.runner == std::this_thread::get_id()) return;
  CondVar ran;
  node.ran = &ran;
  while (node.running) ran.Wait(mutex_);
}

void Cancellation::Unlink(Registration::Node& node) {
  (node.previous == nullptr ? first_ : node.previous->next) = node.next;
  (node.next == nullptr ? last_ : node.next->previous) = node.previous;
  node.listed = false;
}

void Cancellation::Cancel() {
  if (cancelled_.exchange(true, std::memory_order_acq_rel)) return;
  while (true) {
    std::shared_ptr<Registration::Node> node;
    {
      MutexLock lock(mutex_);
      if (first_ == nullptr) return;
      node = first_->shared_from_this();
      Unlink(*node);
      node->running = true;
      node->runner = std::this_thread::get_id();
    }
    node->callback();
    MutexLock lock(mutex_);
    node->running = false;
    if (node->ran != nullptr) node->ran->NotifyOne();
  }
}

Cancellation::Registration Cancellation::OnCancel(
    absl::AnyInvocable<void()> callback) {
  auto node = std::make_shared<Registration::Node>();
  node->callback = std::move(callback);
  {
    MutexLock lock(mutex_);
    // Cancel() sets the flag before it takes the lock: either it is seen here,
    // or Cancel() sees the node.
    if (!cancelled()) {
      node->previous = last_;
      (last_ == nullptr ? first_ : last_->next) = node.get();
      last_ = node.get();
      node->listed = true;
      return Registration(this, std::move(node));
    }
  }
  node->callback();
  return Registration();
}

}  // namespace tern
