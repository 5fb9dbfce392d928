#include "bench/load/process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

namespace tern::bench {
namespace {

int64_t ReadClock(clockid_t clock) {
  timespec time;
  if (clock_gettime(clock, &time) != 0) DieOfErrno("clock_gettime");
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

// What a file of /proc/PID says behind `name`, in bytes.
int64_t ReadKib(pid_t pid, const char* file_name, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + file_name);
  std::string word;
  while (file >> word) {
    int64_t kib;
    if (word == name && file >> kib) return kib * 1024;
  }
  Die("cannot read the memory of process " + std::to_string(pid));
}

}  // namespace

int64_t NowNanoseconds() { return ReadClock(CLOCK_MONOTONIC); }

void SleepUntil(int64_t nanoseconds) {
  const timespec time = {.tv_sec = nanoseconds / 1'000'000'000,
                         .tv_nsec = nanoseconds % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) ==
         EINTR) {
  }
}

void Die(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::fflush(nullptr);
  // Not exit(): other threads go on using what it would destroy.
  _exit(1);
}

void DieOfErrno(const std::string& what) {
  Die(what + ": " + std::strerror(errno));
}

void BeginProcess() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == 1) Die("the parent has died already");
  prctl(PR_SET_TIMERSLACK, 1);
  signal(SIGPIPE, SIG_IGN);
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

void ServeUntilStdinEnds(uint16_t port) {
  std::printf("listening %d\n", static_cast<int>(port));
  std::fflush(stdout);
  char byte;
  for (;;) {
    const ssize_t size = read(STDIN_FILENO, &byte, 1);
    if (size == 0 || (size < 0 && errno != EINTR)) return;
  }
}

int64_t CpuNanoseconds(pid_t pid) {
  clockid_t clock;
  if (clock_getcpuclockid(pid, &clock) != 0) {
    Die("no process " + std::to_string(pid));
  }
  return ReadClock(clock);
}

int64_t ResidentBytes(pid_t pid) {
  // Exact, where /proc/PID/statm may lag behind by some pages for each core.
  return ReadKib(pid, "smaps_rollup", "Rss:");
}

int64_t PeakResidentBytes(pid_t pid) {
  return ReadKib(pid, "status", "VmHWM:");
}

int CountThreads(pid_t pid) {
  const std::filesystem::directory_iterator threads(
      "/proc/" + std::to_string(pid) + "/task");
  return static_cast<int>(std::distance(begin(threads), end(threads)));
}

}  // namespace tern::bench
