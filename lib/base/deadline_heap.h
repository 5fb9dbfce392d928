#ifndef TERN_LIB_BASE_DEADLINE_HEAP_H_
#define TERN_LIB_BASE_DEADLINE_HEAP_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "tern/lib/base/log.h"
#include "tern/lib/base/monotonic_time.h"

namespace tern {

// A binary min-heap of items by time, equal times in order of insertion. Each
// item holds its own place (a size_t member, kNotInHeap when outside), so that
// any of them can be moved or removed in O(log n). Owns no item.
//
// Not thread-safe.
template <typename Item, size_t Item::*kPlace>
class DeadlineHeap {
 public:
  static constexpr size_t kNotInHeap = static_cast<size_t>(-1);

  struct Entry {
    MonotonicTime time;
    uint64_t sequence = 0;  // Grows with every Set().
    Item* item = nullptr;

    friend bool operator<(const Entry& a, const Entry& b) {
      return a.time != b.time ? a.time < b.time : a.sequence < b.sequence;
    }
  };

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  // What the next Set() will use: every entry now in the heap has a smaller
  // one.
  uint64_t next_sequence() const { return next_sequence_; }

  // The earliest. REQUIRES: not empty.
  const Entry& front() const {
    TERN_DCHECK(!empty());
    return entries_.front();
  }

  // The latest, in O(n): it is one of the leaves. REQUIRES: not empty.
  const Entry& Latest() const {
    TERN_DCHECK(!empty());
    return *std::max_element(entries_.begin() + entries_.size() / 2,
                             entries_.end());
  }

  // Inserts `item`, or moves it.
  void Set(Item* item, MonotonicTime time) {
    const Entry entry = {time, next_sequence_++, item};
    if (item->*kPlace == kNotInHeap) {
      item->*kPlace = entries_.size();
      entries_.push_back(entry);
    }
    Settle(item->*kPlace, entry);
  }

  // REQUIRES: `item` is in this heap.
  void Remove(Item* item) {
    const size_t place = std::exchange(item->*kPlace, kNotInHeap);
    TERN_DCHECK(place < entries_.size() && entries_[place].item == item);
    const Entry last = entries_.back();
    entries_.pop_back();
    if (last.item != item) Settle(place, last);
  }

 private:
  static size_t Parent(size_t place) { return (place - 1) / 2; }

  void Put(size_t place, const Entry& entry) {
    entries_[place] = entry;
    entry.item->*kPlace = place;
  }

  // Puts `entry` at `place`, or as far up or down from there as it belongs.
  void Settle(size_t place, const Entry& entry) {
    while (place > 0 && entry < entries_[Parent(place)]) {
      Put(place, entries_[Parent(place)]);
      place = Parent(place);
    }
    for (;;) {
      size_t child = 2 * place + 1;
      if (child >= entries_.size()) break;
      if (child + 1 < entries_.size() &&
          entries_[child + 1] < entries_[child]) {
        ++child;
      }
      if (!(entries_[child] < entry)) break;
      Put(place, entries_[child]);
      place = child;
    }
    Put(place, entry);
  }

  std::vector<Entry> entries_;
  uint64_t next_sequence_ = 0;
};

}  // namespace tern

#endif  // TERN_LIB_BASE_DEADLINE_HEAP_H_
