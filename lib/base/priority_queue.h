#ifndef TERN_LIB_BASE_PRIORITY_QUEUE_H_
#define TERN_LIB_BASE_PRIORITY_QUEUE_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "tern/lib/base/priority_turns.h"

namespace tern {

// Items (calls) that wait for their turn: the highest priority() first (but see
// PriorityTurns: every ninth turn is another's), and of one priority the one
// that came first. (Not that with the earliest deadline: with more calls than
// there is room for, one without a deadline would wait for ever.)
//
// Not thread-safe.
template <typename Item>
class PriorityQueue {
 public:
  using Items = std::vector<std::shared_ptr<Item>>;

  bool empty() const { return waiting_ == 0; }
  size_t size() const { return size_; }

  // REQUIRES: its priority is below PriorityTurns::kClasses.
  void Add(std::shared_ptr<Item> item) {
    waiting_ = static_cast<uint8_t>(waiting_ | 1u << item->priority());
    ++size_;
    of_[item->priority()].push_back(std::move(item));
  }

  // Whose turn it is; the same until something is added or taken out.
  // REQUIRES: !empty().
  const std::shared_ptr<Item>& Next() const {
    PriorityTurns turns = turns_;
    return of_[turns.Next(waiting_)].front();
  }
  // Takes that one out: it has had its turn.
  void PopNext() {
    List& list = of_[turns_.Next(waiting_)];
    Erase(list, list.begin());
  }

  // Takes `item` out. False when it is not here.
  bool Remove(const std::shared_ptr<Item>& item) {
    List& list = of_[item->priority()];
    const auto found = std::find(list.begin(), list.end(), item);
    if (found == list.end()) return false;
    Erase(list, found);
    return true;
  }

  // Takes out the one that makes room for others: of the lowest priority, the
  // one that came last. REQUIRES: !empty().
  std::shared_ptr<Item> TakeLast() {
    List& list = of_[static_cast<unsigned>(std::countr_zero(waiting_))];
    std::shared_ptr<Item> last = std::move(list.back());
    Erase(list, std::prev(list.end()));
    return last;
  }

  // Takes out those for which `wanted` says so, the most urgent first. It is
  // asked about each.
  template <typename Wanted>
  Items TakeIf(Wanted wanted) {
    Items taken;
    for (auto list = of_.rbegin(); list != of_.rend(); ++list) {
      for (auto it = list->begin(); it != list->end();) {
        const auto item = it++;
        if (!wanted(**item)) continue;
        taken.push_back(std::move(*item));
        Erase(*list, item);
      }
    }
    return taken;
  }
  Items TakeAll() {
    return TakeIf([](const Item&) { return true; });
  }

 private:
  // (An empty deque would hold half a KiB, eight times in each queue.)
  using List = std::list<std::shared_ptr<Item>>;

  void Erase(List& list, typename List::iterator place) {
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

#endif  // TERN_LIB_BASE_PRIORITY_QUEUE_H_
