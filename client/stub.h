#ifndef TERN_CLIENT_STUB_H_
#define TERN_CLIENT_STUB_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message_lite.h"
#include "tern/client/call_handle.h"
#include "tern/client/call_options.h"
#include "tern/client/channel.h"
#include "tern/client/spare_reply.h"
#include "tern/lib/base/recycling_allocator.h"
#include "tern/lib/call/method_info.h"

namespace tern {

// Called exactly once, on the channel's I/O thread, after the call that was
// given it has returned. It must not block: a blocking call made there fails
// FAILED_PRECONDITION. The reply is its own, to take or to leave: what a later
// callback asks for is parsed into the memory of a short one that was left, as
// by a callback that takes a const reference. (Who calls one himself, as a mock
// does, gives it what it may keep: `std::move(done)(std::move(reply))`.)
template <typename Reply>
using ReplyCallback = absl::AnyInvocable<void(absl::StatusOr<Reply>&&) &&>;

namespace client_internal {

// The untyped halves: one copy in the library, however many methods.
absl::Status CallUnary(Channel& channel, const MethodInfo& method,
                       const google::protobuf::MessageLite& request,
                       google::protobuf::MessageLite* reply,
                       const CallOptions& options);

// Owns the reply until the call has ended, then tells.
class UnaryCompletion {
 public:
  virtual ~UnaryCompletion() = default;
  virtual google::protobuf::MessageLite* reply() = 0;
  virtual void Done(absl::Status status) = 0;

  // Set before Done(): the reply's, on the wire, where it was parsed as it
  // came.
  std::optional<size_t> reply_bytes;
};

CallHandle StartUnary(Channel& channel, const MethodInfo& method,
                      const google::protobuf::MessageLite& request,
                      const CallOptions& options,
                      std::unique_ptr<UnaryCompletion> completion);

}  // namespace client_internal

// What generated stubs call. Blocks until the call has ended, at the latest at
// its deadline; the request does not change meanwhile, as a long one is sent
// from where it lies.
template <typename Reply>
absl::StatusOr<Reply> BlockingUnaryCall(
    Channel& channel, const MethodInfo& method,
    const google::protobuf::MessageLite& request, const CallOptions& options) {
  absl::StatusOr<Reply> reply(absl::in_place);
  absl::Status status =
      client_internal::CallUnary(channel, method, request, &*reply, options);
  if (!status.ok()) reply = std::move(status);
  return reply;
}

// Returns at once; `done` is called later. The request is not used after the
// return.
template <typename Reply>
CallHandle AsyncUnaryCall(Channel& channel, const MethodInfo& method,
                          const google::protobuf::MessageLite& request,
                          const CallOptions& options,
                          ReplyCallback<Reply>&& done) {
  class Completion final : public client_internal::UnaryCompletion {
   public:
    explicit Completion(ReplyCallback<Reply>&& done)
        : reply_(absl::in_place),
          uses_(client_internal::SpareReply<Reply>::Take(&*reply_)),
          done_(std::move(done)) {}
    static void* operator new(size_t) {
      return RecyclingAllocator<Completion>().allocate(1);
    }
    static void operator delete(void* block) {
      RecyclingAllocator<Completion>().deallocate(
          static_cast<Completion*>(block), 1);
    }
    google::protobuf::MessageLite* reply() override { return &*reply_; }
    void Done(absl::Status status) override {
      if (!status.ok()) reply_ = std::move(status);
      std::move(done_)(std::move(reply_));
      if (reply_.ok() && reply_bytes.has_value()) {
        client_internal::SpareReply<Reply>::Leave(*std::move(reply_),
                                                  *reply_bytes, uses_);
      }
    }

   private:
    absl::StatusOr<Reply> reply_;
    const uint32_t uses_;
    ReplyCallback<Reply> done_;
  };
  return client_internal::StartUnary(
      channel, method, request, options,
      std::make_unique<Completion>(std::move(done)));
}

}  // namespace tern

#endif  // TERN_CLIENT_STUB_H_
