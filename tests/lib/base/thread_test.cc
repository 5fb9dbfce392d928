#include "tern/lib/base/thread.h"

#include <pthread.h>
#include <signal.h>

#include "gtest/gtest.h"

namespace tern {
namespace {

sigset_t CurrentMask() {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return mask;
}

void RunOnThread(std::string_view name, absl::AnyInvocable<void()> body) {
  absl::StatusOr<std::thread> thread = StartThread(name, std::move(body));
  ASSERT_TRUE(thread.ok()) << thread.status();
  thread->join();
}

TEST(StartThread, BlocksAsynchronousSignalsOnly) {
  RunOnThread("test", [] {
    const sigset_t mask = CurrentMask();
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1}) {
      EXPECT_TRUE(sigismember(&mask, signal)) << signal;
    }
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGPROF}) {
      EXPECT_FALSE(sigismember(&mask, signal)) << signal;
    }
  });
}

TEST(StartThread, LeavesTheCallersMaskAsItWas) {
  sigset_t only_usr2;
  sigemptyset(&only_usr2);
  sigaddset(&only_usr2, SIGUSR2);
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &only_usr2, &before);
  RunOnThread("test", [] {});
  const sigset_t mask = CurrentMask();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_TRUE(sigismember(&mask, SIGUSR2));
  EXPECT_FALSE(sigismember(&mask, SIGTERM));
}

TEST(StartThread, CutsTheNameToWhatTheKernelShows) {
  RunOnThread("a-name-of-more-than-fifteen-bytes", [] {
    char name[32];
    ASSERT_EQ(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
    EXPECT_STREQ(name, "a-name-of-more-");
  });
}

TEST(ThreadName, KeepsTheIndexWithinFifteenBytes) {
  EXPECT_EQ(ThreadName("loop", 0), "loop-0");
  EXPECT_EQ(ThreadName("tern-worker", 127), "tern-worker-127");
  EXPECT_EQ(ThreadName("tern-workers", 127), "tern-worker-127");
}

}  // namespace
}  // namespace tern
