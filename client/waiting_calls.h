#ifndef TERN_CLIENT_WAITING_CALLS_H_
#define TERN_CLIENT_WAITING_CALLS_H_

#include <cstddef>
#include <memory>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "tern/client/client_call.h"
#include "tern/lib/base/monotonic_time.h"

namespace tern {

// Calls that wait for a connection: by their deadlines, and by who is to go
// first. In here ClientCall::waiting is true.
//
// Not thread-safe.
class WaitingCalls {
 public:
  using Call = std::shared_ptr<ClientCall>;
  using Calls = std::vector<Call>;

  bool empty() const { return by_deadline_.empty(); }
  size_t size() const { return by_deadline_.size(); }

  void Add(Call call) {
    call->waiting = true;
    by_urgency_.insert(call);
    by_deadline_.insert(std::move(call));
  }
  // REQUIRES: it is here.
  void Remove(const Call& call) {
    call->waiting = false;
    by_urgency_.erase(call);
    by_deadline_.erase(call);
  }

  MonotonicTime earliest_deadline() const {
    return empty() ? MonotonicTime::InfiniteFuture()
                   : (*by_deadline_.begin())->deadline();
  }
  // Takes out those whose deadline has passed.
  Calls TakeDue(MonotonicTime now) {
    Calls due;
    while (!empty() && earliest_deadline() <= now) {
      due.push_back(*by_deadline_.begin());
      Remove(due.back());
    }
    return due;
  }

  // Takes out those for which `wanted` says so, in the order in which they are
  // to be started: the most urgent first, of these the one that came first.
  template <typename Wanted>
  Calls TakeIf(Wanted wanted) {
    Calls taken;
    for (const Call& call : by_urgency_) {
      if (wanted(*call)) taken.push_back(call);
    }
    for (const Call& call : taken) Remove(call);
    return taken;
  }
  Calls TakeAll() {
    return TakeIf([](const ClientCall&) { return true; });
  }

  // Takes out the one that makes room for others: of the lowest priority, the
  // one that came last. REQUIRES: !empty().
  Call TakeLast() {
    Call last = *by_urgency_.rbegin();
    Remove(last);
    return last;
  }

 private:
  struct ByDeadline {
    bool operator()(const Call& a, const Call& b) const {
      return std::tuple(a->deadline(), a.get()) <
             std::tuple(b->deadline(), b.get());
    }
  };
  struct ByUrgency {
    bool operator()(const Call& a, const Call& b) const {
      return std::tuple(-a->priority(), a->started_at(), a.get()) <
             std::tuple(-b->priority(), b->started_at(), b.get());
    }
  };

  std::set<Call, ByDeadline> by_deadline_;
  std::set<Call, ByUrgency> by_urgency_;
};

}  // namespace tern

#endif  // TERN_CLIENT_WAITING_CALLS_H_
