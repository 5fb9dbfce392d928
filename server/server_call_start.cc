// Handlers that may end later than their invocation returns, and elsewhere.

#include <memory>
#include <utility>

#include "tern/lib/base/log.h"
#include "tern/server/server_call.h"
#include "tern/server/server_connection.h"

namespace tern {

void ServerCall::StartHandler(MonotonicTime started_at) {
  started_at_ = started_at;
  connection_->environment().pending_handlers.Enter();
  bool threw = false;
  try {
    const MethodHandler& handler = *entry_->handler;
    google::protobuf::MessageLite* const reply = messages_.reply.get();
    Responder responder(runners_share_);
    if (streaming_ == nullptr) {
      handler.start(*entry_->service, *this, *messages_.request, reply,
                    std::move(responder));
    } else {
      handler.start_stream(*entry_->service, *this, *messages_.request, reply,
                           &streaming_->handlers, std::move(responder));
    }
  } catch (...) {
    threw = true;
  }
  // What the call ends with belongs to whoever ends it now, unless he was
  // first.
  if (!started_and_ended_.Arrive()) return;
  SetAnswered(threw);
  over_ = true;
}

void ServerCall::OnHandlerEnd(std::shared_ptr<AnsweredCall> self, End end,
                              absl::Status status) {
  ServerEnvironment& environment = connection_->environment();
  auto share = std::static_pointer_cast<ServerCall>(std::move(self));
  end_ = end;
  status_ = std::move(status);
  if (started_and_ended_.Arrive()) {
    SetAnswered(/*threw=*/false);
    const MonotonicTime now = MonotonicTime::Now();
    const int64_t run_ns = now.nanoseconds() - started_at_.nanoseconds();
    handler_us_ = static_cast<uint64_t>(run_ns) / 1000;
    connection_->CompleteInSuccession(std::move(share), now);
  }
  // Last: the server may be gone at once.
  share.reset();
  environment.pending_handlers.Leave();
}

void ServerCall::SetAnswered(bool threw) {
  if (end_ == End::kThrew || (end_ == End::kDropped && threw)) {
    return SetHandled(OnThrown());
  }
  if (end_ == End::kDropped) {
    TERN_LOG(kError) << "the handler of " << method()
                     << " dropped its responder; its call ends INTERNAL";
    return SetHandled(absl::InternalError(
        "the handler dropped its responder without an answer"));
  }
  if (threw) {
    TERN_LOG(kError) << "the handler of " << method()
                     << " threw an exception behind its answer";
  }
  if (streaming_ != nullptr) status_ = StreamOutcome(std::move(status_));
  SetHandled(std::move(status_));
}

}  // namespace tern
