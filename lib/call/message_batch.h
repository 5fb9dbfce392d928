#ifndef TERN_LIB_CALL_MESSAGE_BATCH_H_
#define TERN_LIB_CALL_MESSAGE_BATCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "tern/lib/call/compression.h"
#include "tern/lib/wire/byte_buffer.h"

namespace tern {

// Serialised messages of a stream, one behind the other: appended by one
// thread, then taken by another as a whole. Short ones lie next to each other,
// so that a message costs four bytes more than it has and no allocation; long
// ones stay where they are.
//
// Holds no memory above kKeptBytes once all has been taken. Not thread-safe.
class MessageBatch {
 public:
  // From here on a message stays where it is.
  static constexpr size_t kMinLongBytes = 4096;
  static constexpr size_t kKeptBytes = 1024;

  struct Message {
    std::string_view bytes;
    // Set for a long one, and for one with the following: keeps the bytes.
    std::shared_ptr<const char[]> owner;
    uint32_t attachment_bytes = 0;  // The last of `bytes`.
    // What the others are compressed with.
    Compression compression = Compression::kNone;
    // 0, or of a compressed one that is sent: how many `bytes` would be.
    uint32_t inflated_bytes = 0;
  };

  // Whether Next() has something.
  bool empty() const { return taken_ == bytes_.size(); }
  size_t count() const { return count_; }

  // Room for a short message, to be written before the next call.
  // REQUIRES: size < kMinLongBytes.
  char* Append(size_t size) {
    char* const place = AppendHead(static_cast<uint32_t>(size), size);
    return place;
  }
  // REQUIRES: it has an owner.
  void AppendLong(Message message) {
    AppendHead(kLong, 0);
    long_.push_back(std::move(message));
  }

  // The next message; its bytes are valid until the batch is changed, or as
  // long as it has an owner. REQUIRES: !empty().
  Message Next() {
    uint32_t size;
    std::memcpy(&size, bytes_.view().data() + taken_, sizeof(size));
    taken_ += sizeof(size);
    --count_;
    if (size == kLong) return std::move(long_[long_taken_++]);
    const std::string_view bytes = bytes_.view().substr(taken_, size);
    taken_ += size;
    return {.bytes = bytes, .owner = nullptr};
  }

  // REQUIRES: empty(), or that the rest is not wanted.
  void Clear() {
    taken_ = long_taken_ = count_ = 0;
    if (bytes_.capacity() > kKeptBytes) {
      bytes_.Reset();
    } else {
      bytes_.Truncate(0);
    }
    if (!long_.empty()) std::vector<Message>().swap(long_);
  }

 private:
  static constexpr uint32_t kLong = UINT32_MAX;

  char* AppendHead(uint32_t head, size_t size) {
    const size_t end = bytes_.size() + sizeof(head) + size;
    if (end > bytes_.capacity()) {
      bytes_.Reserve(std::max({end, 2 * bytes_.capacity(), size_t{256}}));
    }
    std::memcpy(bytes_.end(), &head, sizeof(head));
    char* const place = bytes_.end() + sizeof(head);
    bytes_.Extend(sizeof(head) + size);
    ++count_;
    return place;
  }

  wire::ByteBuffer bytes_;
  size_t taken_ = 0;
  size_t count_ = 0;
  std::vector<Message> long_;
  size_t long_taken_ = 0;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_MESSAGE_BATCH_H_
