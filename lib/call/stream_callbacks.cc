#include "tern/lib/call/stream_callbacks.h"

#include <utility>

#include "tern/lib/call/message_stream.h"

namespace tern {

void MessageStream::Read(google::protobuf::MessageLite* message, Done done) {
  if (callback_reads_ == nullptr) {
    callback_reads_ = std::make_shared<StreamCallbacks>();
  }
  callback_reads_->Read(this, message, std::move(done));
}

void MessageStream::Write(const google::protobuf::MessageLite& message,
                          Done done) {
  if (callback_writes_ == nullptr) {
    callback_writes_ = std::make_shared<StreamCallbacks>();
  }
  callback_writes_->Write(this, &message, std::move(done));
}

void StreamCallbacks::Read(MessageStream* stream,
                           google::protobuf::MessageLite* message, Done done) {
  to_read_ = message;
  Begin(stream, std::move(done));
}

void StreamCallbacks::Write(MessageStream* stream,
                            const google::protobuf::MessageLite* message,
                            Done done) {
  to_write_ = message;
  Begin(stream, std::move(done));
}

void StreamCallbacks::Begin(MessageStream* stream, Done done) {
  stream_ = stream;
  done_ = std::move(done);
  if (state_.exchange(State::kAsked) == State::kIdle) Run();
}

void StreamCallbacks::Run() {
  const std::shared_ptr<StreamCallbacks> self = shared_from_this();
  State running;
  do {
    state_.store(State::kRunning);
    Poll poll;
    while ((poll = Try()) == Poll::kNotYet) {
      // From there on another thread may be in here.
      if (WakeLater()) return;
    }
    Done done = std::move(done_);
    std::move(done)(poll == Poll::kReady);
    // The stream may be gone, unless the next one has begun.
    running = State::kRunning;
  } while (!state_.compare_exchange_strong(running, State::kIdle));
}

Poll StreamCallbacks::Try() {
  return to_read_ != nullptr ? stream_->TryRead(to_read_)
                             : stream_->TryWrite(*to_write_);
}

bool StreamCallbacks::WakeLater() {
  auto wake = [self = shared_from_this()] { self->Run(); };
  return to_read_ != nullptr ? stream_->WakeForRead(std::move(wake))
                             : stream_->WakeForWrite(std::move(wake));
}

}  // namespace tern
