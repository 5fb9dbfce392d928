#ifndef TERN_CLIENT_STREAM_CALL_H_
#define TERN_CLIENT_STREAM_CALL_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "tern/client/call_options.h"
#include "tern/client/channel.h"
#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/method_info.h"

namespace tern {

class ChannelCore;
class ClientCall;

namespace client_internal {

class InterceptedCall;
struct OneMessages;

// A streaming call in its user's hands: the untyped half of ClientReader,
// ClientWriter and ClientStream. Started by the constructor; may fail there,
// and then is over. Move-only: dropped before it has ended, it is cancelled.
class StreamCall {
 public:
  // `request` is null where the client streams, `reply` where the server does;
  // else a reply is here, and filled before an OK.
  StreamCall(Channel& channel, const MethodInfo& method,
             const google::protobuf::MessageLite* request,
             std::unique_ptr<google::protobuf::MessageLite> reply,
             const CallOptions& options);
  StreamCall(StreamCall&&) noexcept = default;
  StreamCall& operator=(StreamCall&& other) noexcept;
  ~StreamCall() { Drop(); }

  // Called once, on the channel's I/O thread, with how the call has ended, and
  // the reply if there is one.
  using OnEnd =
      absl::AnyInvocable<void(absl::Status status,
                              google::protobuf::MessageLite* reply) &&>;

  MessageStream* messages() const;
  google::protobuf::MessageLite* reply() const;

  // Any thread.
  void Cancel();

  // Ends writing, drops what is still to be read, and waits for the status:
  // once.
  absl::Status Finish();
  void Finish(OnEnd done);

 private:
  // What the call leaves when it ends.
  class Ending;

  // Makes the call, and starts it if `status` is OK.
  void Start(const std::shared_ptr<ChannelCore>& core, const MethodInfo& method,
             const OneMessages& messages, const CallOptions& options,
             std::unique_ptr<InterceptedCall> intercepted, absl::Status status);
  void Drop();
  // `status`, or what was wrong with a message that was read when the call had
  // ended already.
  static absl::Status OrFailure(absl::Status status, ClientCall& call);

  std::shared_ptr<ClientCall> call_;
  std::shared_ptr<Ending> ending_;
};

}  // namespace client_internal
}  // namespace tern

#endif  // TERN_CLIENT_STREAM_CALL_H_
