#ifndef TERN_SERVER_RESPONDER_H_
#define TERN_SERVER_RESPONDER_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"

namespace tern {
namespace server_internal {

// A call whose handler ends by its responder: the server's side of it.
class AnsweredCall {
 public:
  enum class End { kAnswered, kThrew, kDropped };
  // Any thread, once. `self` is the responder's share of this call. `status` is
  // OK unless answered.
  virtual void OnHandlerEnd(std::shared_ptr<AnsweredCall> self, End end,
                            absl::Status status) = 0;

 protected:
  ~AnsweredCall() = default;
};

class CoroutineRun;

}  // namespace server_internal

// Gives the answer of one call, once, on any thread: what a method of a
// generated CallbackService has instead of a return.
//
//   void Get(tern::ServerContext& context, const GetRequest& request,
//            GetReply* reply, tern::Responder responder) override {
//     store_.Read(request.key(),
//                 [reply, responder = std::move(responder)](Entry entry)
//                 mutable {
//                   reply->set_value(entry.value);
//                   responder.Answer(absl::OkStatus());
//                 });
//   }
//
// A streaming method has its stream beside it, to read and write by callbacks:
//
//   void Record(tern::ServerContext& context, tern::ServerReader<Report>&
//   reader,
//               Summary* summary, tern::Responder responder) override;
//
// Context, request, reply and stream live until the call has been answered and
// the method has returned; the answer is sent then, too. One that is dropped
// unanswered answers INTERNAL, and the log says so. Calls that are made outside
// the method's own thread inherit from the call where an AmbientCallScope says
// so: see ServerContext::ambient().
//
// Movable. Not thread-safe: one thread at a time has it.
class Responder {
 public:
  Responder() = default;  // Of no call.
  explicit Responder(std::shared_ptr<server_internal::AnsweredCall> call)
      : call_(std::move(call)) {}
  Responder(Responder&& other) noexcept = default;
  Responder& operator=(Responder&& other) noexcept {
    if (this != &other) {
      Drop();
      call_ = std::move(other.call_);
    }
    return *this;
  }
  ~Responder() { Drop(); }

  // OK sends *reply. Does not block; a second answer is ignored, and logged.
  void Answer(absl::Status status);

  // False once it has answered, or been moved from.
  explicit operator bool() const { return call_ != nullptr; }

 private:
  friend class server_internal::CoroutineRun;
  using End = server_internal::AnsweredCall::End;

  void EndWith(End end, absl::Status status) {
    server_internal::AnsweredCall* const call = call_.get();
    call->OnHandlerEnd(std::move(call_), end, std::move(status));
  }
  void Drop() {
    if (call_ != nullptr) EndWith(End::kDropped, absl::OkStatus());
  }

  std::shared_ptr<server_internal::AnsweredCall> call_;
};

}  // namespace tern

#endif  // TERN_SERVER_RESPONDER_H_
