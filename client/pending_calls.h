#ifndef TERN_CLIENT_PENDING_CALLS_H_
#define TERN_CLIENT_PENDING_CALLS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "tern/client/client_call.h"
#include "tern/lib/base/priority_turns.h"
#include "tern/lib/wire/call_header.h"

namespace tern {

// Calls that wait to be started on a connection: the highest priority first
// (but see PriorityTurns: every ninth turn is another's), and of one priority
// the one that came first. (Not that with the earliest deadline: with more
// calls than there is room for, one without a deadline would wait for ever.)
//
// Not thread-safe.
class PendingCalls {
 public:
  using Calls = std::vector<std::shared_ptr<ClientCall>>;

  bool empty() const { return waiting_ == 0; }
  size_t size() const { return size_; }

  void Add(std::shared_ptr<ClientCall> call) {
    waiting_ = static_cast<uint8_t>(waiting_ | 1u << call->priority());
    ++size_;
    of_[call->priority()].push_back(std::move(call));
  }

  // Whose turn it is; the same until something is added or taken out.
  // REQUIRES: !empty().
  const std::shared_ptr<ClientCall>& Next() const {
    PriorityTurns turns = turns_;
    return of_[turns.Next(waiting_)].front();
  }
  // Takes that one out: it has had its turn.
  void PopNext() {
    List& list = of_[turns_.Next(waiting_)];
    Erase(list, list.begin());
  }

  // Takes `call` out. False when it is not here.
  bool Remove(const std::shared_ptr<ClientCall>& call) {
    List& list = of_[call->priority()];
    const auto found = std::find(list.begin(), list.end(), call);
    if (found == list.end()) return false;
    Erase(list, found);
    return true;
  }

  // Takes out those for which `wanted` says so, the most urgent first. It is
  // asked about each.
  template <typename Wanted>
  Calls TakeIf(Wanted wanted) {
    Calls taken;
    for (auto list = of_.rbegin(); list != of_.rend(); ++list) {
      for (auto it = list->begin(); it != list->end();) {
        const auto call = it++;
        if (!wanted(**call)) continue;
        taken.push_back(std::move(*call));
        Erase(*list, call);
      }
    }
    return taken;
  }
  Calls TakeAll() {
    return TakeIf([](const ClientCall&) { return true; });
  }

 private:
  // (An empty deque would hold half a KiB, eight times on each connection.)
  using List = std::list<std::shared_ptr<ClientCall>>;
  static_assert(PriorityTurns::kClasses == wire::kMaxPriority + 1);

  void Erase(List& list, List::iterator place) {
    list.erase(place);
    --size_;
    if (!list.empty()) return;
    waiting_ = static_cast<uint8_t>(waiting_ & ~(1u << (&list - of_.data())));
  }

  std::array<List, PriorityTurns::kClasses> of_;
  size_t size_ = 0;      // Of all of them.
  uint8_t waiting_ = 0;  // A bit for each that is not empty.
  PriorityTurns turns_;
};

}  // namespace tern

#endif  // TERN_CLIENT_PENDING_CALLS_H_
