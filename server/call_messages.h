#ifndef TERN_SERVER_CALL_MESSAGES_H_
#define TERN_SERVER_CALL_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/base/mutex.h"
#include "tern/server/service.h"

namespace tern {

// The request and the reply of one call.
struct CallMessages {
  std::unique_ptr<google::protobuf::MessageLite> request;
  std::unique_ptr<google::protobuf::MessageLite> reply;
  uint32_t uses = 0;
  size_t bytes = 0;  // The most that they have held, on the wire.
};

// Messages of one method that calls have used and the next ones use again, with
// the memory of their strings and submessages: parsing into them allocates
// nothing in the steady state, and costs less than an arena does.
//
// Bounded: kMaxKept pairs, none that has held a message above kMaxBytes on the
// wire, kMaxKeptBytes of such in all, and each for kMaxUses, as what differs
// from call to call adds up in a message.
//
// Thread-safe: a thread that finds it in use by another does without.
class CallMessagesCache {
 public:
  static constexpr size_t kMaxKept = 1024;
  static constexpr size_t kMaxKeptBytes = size_t{256} << 10;
  static constexpr size_t kMaxBytes = size_t{4} << 10;
  static constexpr uint32_t kMaxUses = 1000;

  CallMessages Take(const MethodHandler& handler);
  // `bytes`: what they hold, on the wire.
  void GiveBack(CallMessages messages, size_t bytes);

 private:
  TryMutex mutex_;
  std::vector<CallMessages> kept_ ABSL_GUARDED_BY(mutex_);
  size_t kept_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tern

#endif  // TERN_SERVER_CALL_MESSAGES_H_
