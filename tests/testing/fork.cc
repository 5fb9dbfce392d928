#include "tests/testing/fork.h"

#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include "tern/lib/base/monotonic_time.h"
#include "tests/testing/event.h"

namespace tern::testing {
namespace {

// How often each thread has gone to sleep, by thread id; of the other threads
// of this process. Nothing if one of them does not sleep.
std::optional<std::map<std::string, std::string>> SleepsOfOthers() {
  std::map<std::string, std::string> sleeps;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/self/task")) {
    const std::string id = task.path().filename();
    if (id == std::to_string(gettid())) continue;
    std::ifstream status(task.path() / "status");
    std::string line;
    while (std::getline(status, line)) {
      if (line.starts_with("State:") && !line.ends_with("(sleeping)")) {
        return std::nullopt;
      }
      if (line.starts_with("voluntary_ctxt_switches:")) sleeps[id] = line;
    }
  }
  return sleeps;
}

}  // namespace

pid_t ForkWhileOthersSleep() {
  // Each of them might wake another, once it has been looked at: they all slept
  // between two looks if none has gone to sleep again.
  const MonotonicTime late = MonotonicTime::Now() + kPatience;
  while (true) {
    const auto before = SleepsOfOthers();
    if (before.has_value() && SleepsOfOthers() == before) break;
    if (MonotonicTime::Now() > late) return -1;
    sched_yield();
  }
  const pid_t child = fork();
  if (child == 0) alarm(60);
  return child;
}

}  // namespace tern::testing
