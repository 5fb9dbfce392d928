#include "bench/load/counters.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace tern::bench {
namespace {

// 0 when the kernel does not say.
uint64_t TracepointId(const std::string& name) {
  for (const char* root :
       {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    std::ifstream file(root + ("/events/" + name + "/id"));
    if (uint64_t id; file >> id) return id;
  }
  return 0;
}

// False where there is no such counter.
bool Describe(ProcessCounters::Event event, perf_event_attr* attributes) {
  *attributes = {};
  attributes->size = sizeof(*attributes);
  attributes->inherit = 1;
  attributes->read_format =
      PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  if (event == ProcessCounters::kSystemCalls) {
    attributes->type = PERF_TYPE_TRACEPOINT;
    attributes->config = TracepointId("raw_syscalls/sys_enter");
    return attributes->config != 0;
  }
  attributes->type = PERF_TYPE_HARDWARE;
  attributes->config = PERF_COUNT_HW_INSTRUCTIONS;
  attributes->exclude_hv = 1;
  attributes->exclude_user = event == ProcessCounters::kKernelInstructions;
  attributes->exclude_kernel = event == ProcessCounters::kUserInstructions;
  return true;
}

}  // namespace

ProcessCounters::ProcessCounters(pid_t pid) {
  std::vector<pid_t> threads;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(
           "/proc/" + std::to_string(pid) + "/task", error)) {
    threads.push_back(std::atoi(entry.path().filename().c_str()));
  }
  for (Event event : {kUserInstructions, kKernelInstructions, kSystemCalls}) {
    perf_event_attr attributes;
    if (!Describe(event, &attributes)) continue;
    size_t ended = 0;
    for (pid_t thread : threads) {
      const long file =
          syscall(SYS_perf_event_open, &attributes, thread, /*cpu=*/-1,
                  /*group_fd=*/-1, PERF_FLAG_FD_CLOEXEC);
      if (file >= 0) files_[event].push_back(static_cast<int>(file));
      if (file < 0 && errno == ESRCH) ++ended;
    }
    // Half a count would look like a small one.
    if (files_[event].size() + ended != threads.size()) {
      for (int file : files_[event]) close(file);
      files_[event].clear();
    }
  }
}

ProcessCounters::~ProcessCounters() {
  for (const auto& files : files_) {
    for (int file : files) close(file);
  }
}

std::optional<uint64_t> ProcessCounters::Read(Event event) const {
  if (files_[event].empty()) return std::nullopt;
  uint64_t sum = 0;
  for (int file : files_[event]) {
    struct {
      uint64_t value, enabled, running;
    } count;
    if (read(file, &count, sizeof(count)) != sizeof(count)) return std::nullopt;
    if (count.running == 0) continue;  // The thread has slept all the time.
    sum += static_cast<uint64_t>(static_cast<double>(count.value) *
                                 static_cast<double>(count.enabled) /
                                 static_cast<double>(count.running));
  }
  return sum;
}

}  // namespace tern::bench
