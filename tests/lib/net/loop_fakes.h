#ifndef TERN_TESTS_LIB_NET_LOOP_FAKES_H_
#define TERN_TESTS_LIB_NET_LOOP_FAKES_H_

#include <sys/socket.h>

#include <cstdint>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "gtest/gtest.h"
#include "tern/lib/net/event_loop.h"
#include "tern/lib/net/socket.h"

namespace tern::net {

// What the tests of loops register with them.
class FunctionHandler final : public EventLoop::IoHandler {
 public:
  explicit FunctionHandler(absl::AnyInvocable<void(uint32_t)> on_ready)
      : on_ready_(std::move(on_ready)) {}
  void OnReady(uint32_t events) override { on_ready_(events); }

 private:
  absl::AnyInvocable<void(uint32_t)> on_ready_;
};

struct Pair {
  Pair() {
    int fds[2];
    EXPECT_EQ(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
        0);
    ours = FileDescriptor(fds[0]);
    theirs = FileDescriptor(fds[1]);
  }
  void MakeReadable() const {
    EXPECT_EQ(WriteSome(theirs.get(), "x").bytes, 1u);
  }
  FileDescriptor ours;  // The loop's end.
  FileDescriptor theirs;
};

}  // namespace tern::net

#endif  // TERN_TESTS_LIB_NET_LOOP_FAKES_H_
