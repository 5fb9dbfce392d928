#ifndef TERN_LIB_CALL_RAW_MESSAGE_H_
#define TERN_LIB_CALL_RAW_MESSAGE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace tern {

// One message as it travels: its serialised bytes, which nobody has looked at.
// For calls without generated code: see tern/client/generic_stub.h and
// tern/server/unknown_method_service.h.
//
//   tern::RawMessage request = get_request.SerializeAsString();
//   get_reply.ParseFromArray(reply.view().data(), reply.view().size());
//
// A value type; the bytes never change. Long ones (from kMinSharedBytes on) are
// shared by copies of the message, and by the connection while it sends them:
// a message that was received and is sent on is not copied in between.
class RawMessage {
 public:
  static constexpr size_t kMinSharedBytes = 4096;

  RawMessage() = default;  // No bytes: a message as good as any.
  // Copies nothing that is long.
  RawMessage(std::string bytes) {  // NOLINT: meant to be implicit.
    if (bytes.size() < kMinSharedBytes) {
      short_ = std::move(bytes);
      return;
    }
    auto owner = std::make_shared<const std::string>(std::move(bytes));
    const char* const first = owner->data();
    long_size_ = owner->size();
    long_ = std::shared_ptr<const char[]>(std::move(owner), first);
  }
  // `owner` holds `size` bytes.
  RawMessage(std::shared_ptr<const char[]> owner, size_t size)
      : long_(std::move(owner)), long_size_(size) {}

  // Valid as long as this message is, and unchanged.
  std::string_view view() const {
    return long_ != nullptr ? std::string_view(long_.get(), long_size_)
                            : std::string_view(short_);
  }
  size_t size() const { return view().size(); }

  // Replaces what was here, in the same memory when `bytes` are few.
  void CopyFrom(std::string_view bytes);

  // Who holds the bytes, which others may then keep, too; nullptr for few ones.
  const std::shared_ptr<const char[]>& shared() const { return long_; }

 private:
  std::string short_;
  std::shared_ptr<const char[]> long_;
  size_t long_size_ = 0;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_RAW_MESSAGE_H_
