#include "tern/server/call_messages.h"

#include <algorithm>
#include <utility>

namespace tern {

CallMessages CallMessagesCache::Take(const MethodHandler& handler) {
  if (mutex_.TryLock()) {
    CallMessages messages;
    if (!kept_.empty()) {
      messages = std::move(kept_.back());
      kept_.pop_back();
      kept_bytes_ -= messages.bytes;
    }
    mutex_.Unlock();
    if (messages.request != nullptr) return messages;
  }
  return {.request = std::unique_ptr<google::protobuf::MessageLite>(
              handler.new_request(nullptr)),
          .reply = std::unique_ptr<google::protobuf::MessageLite>(
              handler.new_reply(nullptr))};
}

void CallMessagesCache::GiveBack(CallMessages messages, size_t bytes) {
  messages.bytes = std::max(messages.bytes, bytes);
  if (bytes > kMaxBytes || ++messages.uses > kMaxUses) return;
  messages.reply->Clear();  // Parsing clears the request.
  if (!mutex_.TryLock()) return;
  if (kept_.size() < kMaxKept &&
      kept_bytes_ + messages.bytes <= kMaxKeptBytes) {
    kept_bytes_ += messages.bytes;
    kept_.push_back(std::move(messages));
  }
  mutex_.Unlock();
}

}  // namespace tern
