#include "tern/lib/call/stream_callbacks.h"

#include <utility>

#include "tern/lib/call/message_stream.h"

namespace tern {

using google::protobuf::MessageLite;

void MessageStream::Read(MessageLite* message, Done done) {
  ReadWith(message, std::move(done));
}
void MessageStream::Write(const MessageLite& message, Done done) {
  WriteWith(message, std::move(done));
}

void StreamCallbacks::Begin(MessageStream* stream, void* message, Try attempt,
                            Done done) {
  stream_ = stream;
  message_ = message;
  attempt_ = attempt;
  done_ = std::move(done);
  if (state_.exchange(State::kAsked) == State::kIdle) Run();
}

void StreamCallbacks::Run() {
  const std::shared_ptr<StreamCallbacks> self = shared_from_this();
  State running;
  do {
    state_.store(State::kRunning);
    Poll poll;
    while ((poll = attempt_(*stream_, message_)) == Poll::kNotYet) {
      // From there on another thread may be in here.
      if (WakeLater()) return;
    }
    Done done = std::move(done_);
    std::move(done)(poll == Poll::kReady);
    // The stream may be gone, unless the next one has begun.
    running = State::kRunning;
  } while (!state_.compare_exchange_strong(running, State::kIdle));
}

bool StreamCallbacks::WakeLater() {
  auto wake = [self = shared_from_this()] { self->Run(); };
  return direction_ == Direction::kRead
             ? stream_->WakeForRead(std::move(wake))
             : stream_->WakeForWrite(std::move(wake));
}

}  // namespace tern
