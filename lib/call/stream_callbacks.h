#ifndef TERN_LIB_CALL_STREAM_CALLBACKS_H_
#define TERN_LIB_CALL_STREAM_CALLBACKS_H_

#include <atomic>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "google/protobuf/message_lite.h"
#include "tern/lib/call/stream_pipe.h"

namespace tern {

class MessageStream;

// One direction of a stream whose user is called back: the read or the write
// that is outstanding, of which there is one at a time.
//
// A callback may begin the next one. When that has its outcome at once, it is
// not called in there but by the same loop, so that a thousand messages that
// have come already do not lie on the stack a thousand calls deep. It may also
// hand the stream to another thread, which begins the next one while this
// thread still returns from the callback, or destroy the stream.
//
// Apart from the stream, and held by who runs it, for that last reason.
class StreamCallbacks : public std::enable_shared_from_this<StreamCallbacks> {
 public:
  using Done = absl::AnyInvocable<void(bool) &&>;

  // `message` and `stream` live until `done` has been called. Not while another
  // one is outstanding.
  void Read(MessageStream* stream, google::protobuf::MessageLite* message,
            Done done);
  void Write(MessageStream* stream,
             const google::protobuf::MessageLite* message, Done done);

 private:
  enum class State {
    kIdle,
    kRunning,  // A thread tries, waits or calls back.
    kAsked,    // It is to go on with what has been set here meanwhile.
  };

  void Begin(MessageStream* stream, Done done);
  void Run();
  Poll Try();
  bool WakeLater();

  std::atomic<State> state_{State::kIdle};
  MessageStream* stream_ = nullptr;
  google::protobuf::MessageLite* to_read_ = nullptr;
  const google::protobuf::MessageLite* to_write_ = nullptr;
  Done done_;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_STREAM_CALLBACKS_H_
