#ifndef TERN_LIB_WIRE_URGENT_STREAMS_H_
#define TERN_LIB_WIRE_URGENT_STREAMS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "tern/lib/base/priority_turns.h"
#include "tern/lib/wire/call_header.h"
#include "tern/lib/wire/frame.h"

namespace tern::wire {

// The streams of a session that have something to send and a priority above 0,
// and how they and the others (which the session has itself: most have no
// others) take turns. Not thread-safe.
class UrgentStreams {
 public:
  bool empty() const { return (waiting_ & ~1u) == 0; }

  // Behind the others of its priority. REQUIRES: 1 <= priority <= kMaxPriority,
  // and it is not here.
  void Add(StreamId id, unsigned priority) {
    of_[priority].push_back(id);
    waiting_ |= 1u << priority;
  }
  // Before them: it has not used its turn.
  void AddFirst(StreamId id, unsigned priority) {
    of_[priority].insert(of_[priority].begin(), id);
    waiting_ |= 1u << priority;
  }
  void Remove(StreamId id, unsigned priority) {
    std::erase(of_[priority], id);
    if (of_[priority].empty()) waiting_ &= ~(1u << priority);
  }

  // Takes out the stream whose turn it is; 0 when it is one of the others',
  // of which some wait. REQUIRES: !empty().
  StreamId TakeNext(bool others_wait) {
    const unsigned priority =
        turns_.Next(static_cast<uint8_t>(waiting_ | (others_wait ? 1u : 0u)));
    if (priority == 0) return 0;
    const StreamId id = of_[priority].front();
    of_[priority].erase(of_[priority].begin());
    if (of_[priority].empty()) waiting_ &= ~(1u << priority);
    return id;
  }

 private:
  static_assert(PriorityTurns::kClasses == kMaxPriority + 1);

  std::array<std::vector<StreamId>, PriorityTurns::kClasses> of_;
  unsigned waiting_ = 0;  // A bit for each of them that is not empty.
  PriorityTurns turns_;
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_URGENT_STREAMS_H_
