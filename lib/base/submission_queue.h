#ifndef TERN_LIB_BASE_SUBMISSION_QUEUE_H_
#define TERN_LIB_BASE_SUBMISSION_QUEUE_H_

#include <atomic>
#include <memory>
#include <utility>

namespace tern {

// Objects handed from any number of threads to one, which takes all that are
// there at once. Lock-free; an object is in at most one queue at a time, and is
// kept alive while it is in it. T has a public member
//   tern::SubmissionLink<T> submission;
template <typename T>
struct SubmissionLink {
  T* next = nullptr;
  std::shared_ptr<T> self;
};

template <typename T>
class SubmissionQueue {
 public:
  SubmissionQueue() = default;
  SubmissionQueue(const SubmissionQueue&) = delete;
  SubmissionQueue& operator=(const SubmissionQueue&) = delete;
  ~SubmissionQueue() {
    TakeAll([](std::shared_ptr<T>) {});
  }

  // Any thread.
  void Push(std::shared_ptr<T> object) {
    T* node = object.get();
    node->submission.self = std::move(object);
    T* head = head_.load(std::memory_order_relaxed);
    do {
      node->submission.next = head;
    } while (!head_.compare_exchange_weak(head, node, std::memory_order_release,
                                          std::memory_order_relaxed));
  }

  // One thread at a time. Calls `take` with each object, in the order in which
  // they were pushed.
  template <typename Take>
  void TakeAll(Take take) {
    T* node = head_.exchange(nullptr, std::memory_order_acquire);
    T* first = nullptr;
    while (node != nullptr) {  // Last in, first out: turn the list round.
      T* next = std::exchange(node->submission.next, first);
      first = node;
      node = next;
    }
    while (first != nullptr) {
      T* next = first->submission.next;
      take(std::exchange(first->submission.self, nullptr));
      first = next;
    }
  }

 private:
  std::atomic<T*> head_{nullptr};
};

}  // namespace tern

#endif  // TERN_LIB_BASE_SUBMISSION_QUEUE_H_
