#include "tern/server/co_service.h"

#include <coroutine>
#include <cstddef>

#include "tern/lib/base/recycling_allocator.h"
#include "tern/lib/call/ambient_call.h"

namespace tern::server_internal {

// A handler that is a task, until its end. Owns itself.
class CoroutineRun final : private task_internal::TaskEnd {
 public:
  static void Start(Task<absl::Status> task, Responder responder) {
    auto* const self = new CoroutineRun(std::move(task), std::move(responder));
    // The call that it is handling lives until it is answered.
    self->task_.Start(CurrentAmbientCall(), self);
  }

  static void* operator new(size_t) {
    return RecyclingAllocator<CoroutineRun>().allocate(1);
  }
  static void operator delete(void* block) {
    RecyclingAllocator<CoroutineRun>().deallocate(
        static_cast<CoroutineRun*>(block), 1);
  }

 private:
  CoroutineRun(Task<absl::Status> task, Responder responder)
      : task_(std::move(task)), responder_(std::move(responder)) {}
  ~CoroutineRun() = default;

  std::coroutine_handle<> OnTaskEnd() noexcept override {
    using End = AnsweredCall::End;
    Responder responder = std::move(responder_);
    End end = End::kAnswered;
    absl::Status status;
    try {
      status = task_.TakeResult();
    } catch (...) {
      end = End::kThrew;
    }
    delete this;  // And the coroutine: what it was given goes with the call.
    responder.EndWith(end, std::move(status));
    return std::noop_coroutine();
  }

  Task<absl::Status> task_;
  Responder responder_;
};

void RunTask(Task<absl::Status> task, Responder responder) {
  CoroutineRun::Start(std::move(task), std::move(responder));
}

Task<absl::Status> CoUnimplemented(std::string_view method) {
  co_return Unimplemented(method);
}

}  // namespace tern::server_internal
