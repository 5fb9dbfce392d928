#ifndef TERN_LIB_CALL_STREAM_CALLBACKS_H_
#define TERN_LIB_CALL_STREAM_CALLBACKS_H_

#include <atomic>
#include <memory>

#include "absl/functional/any_invocable.h"
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

  // What is done, again and again until it is not kNotYet any more.
  using Try = Poll (*)(MessageStream& stream, void* message);
  enum class Direction { kRead, kWrite };

  explicit StreamCallbacks(Direction direction) : direction_(direction) {}

  // `message` and `stream` live until `done` has been called. Not while another
  // one is outstanding.
  void Begin(MessageStream* stream, void* message, Try attempt, Done done);

 private:
  enum class State {
    kIdle,
    kRunning,  // A thread tries, waits or calls back.
    kAsked,    // It is to go on with what has been set here meanwhile.
  };

  void Run();
  bool WakeLater();

  const Direction direction_;
  std::atomic<State> state_{State::kIdle};
  MessageStream* stream_ = nullptr;
  void* message_ = nullptr;
  Try attempt_ = nullptr;
  Done done_;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_STREAM_CALLBACKS_H_
