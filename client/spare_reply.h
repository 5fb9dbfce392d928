#ifndef TERN_CLIENT_SPARE_REPLY_H_
#define TERN_CLIENT_SPARE_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <utility>

namespace tern::client_internal {

// A reply that a callback has left on this thread, empty, but with the memory
// of its strings and submessages: where a later callback makes a call, as in a
// chain of calls, that one's reply is parsed into it, and takes nothing from
// the heap.
//
// Bounded: one of each type and thread, that came with kMaxBytes on the wire at
// the most, and for kMaxUses, as what differs from call to call adds up in a
// message.
//
// Each thread has its own: thread-safe.
template <typename Reply>
class SpareReply {
 public:
  static constexpr size_t kMaxBytes = 1024;
  static constexpr uint32_t kMaxUses = 1000;

  // Moves it to `*reply`, a new one, if there is one. Returns how often it has
  // been used before.
  static uint32_t Take(Reply* reply) {
    if (uses_ == 0) return 0;
    *reply = std::move(Place().reply);
    return std::exchange(uses_, 0);
  }

  // `bytes`: as it came, on the wire. `uses`: what Take() has returned for it.
  static void Leave(Reply&& reply, size_t bytes, uint32_t uses) {
    if (bytes > kMaxBytes || uses + 1 >= kMaxUses || over_) return;
    reply.Clear();  // No call is to see another's, not one that fails.
    Place().reply = std::move(reply);
    uses_ = uses + 1;
  }

 private:
  struct Kept {
    ~Kept() {
      uses_ = 0;
      over_ = true;
    }
    Reply reply;
  };
  static Kept& Place() {
    thread_local Kept kept;
    return kept;
  }

  // Of the one that is kept; 0: none is.
  static inline thread_local constinit uint32_t uses_ = 0;
  // The thread ends: other objects of it may make calls yet.
  static inline thread_local constinit bool over_ = false;
};

}  // namespace tern::client_internal

#endif  // TERN_CLIENT_SPARE_REPLY_H_
