#ifndef TERN_CLIENT_CALL_HANDLE_H_
#define TERN_CLIENT_CALL_HANDLE_H_

#include <memory>
#include <utility>

namespace tern {

class ClientCall;

// Names a call that was started with a callback. Dropping it does not cancel
// the call. Copyable, thread-safe; may outlive the call and its channel.
class CallHandle {
 public:
  CallHandle() = default;  // Names no call.
  explicit CallHandle(std::shared_ptr<ClientCall> call)
      : call_(std::move(call)) {}

  // Asks for the end of the call, which then ends with CANCELLED, unless it has
  // ended or is about to end otherwise; DEADLINE_EXCEEDED when its deadline has
  // passed already. Its callback runs all the same, exactly once.
  void Cancel();

 private:
  std::shared_ptr<ClientCall> call_;
};

}  // namespace tern

#endif  // TERN_CLIENT_CALL_HANDLE_H_
