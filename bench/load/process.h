#ifndef TERN_BENCH_LOAD_PROCESS_H_
#define TERN_BENCH_LOAD_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace tern::bench {

// What the benchmark's programs do as processes. A failure ends the process:
// a measurement with failures is none.

int64_t NowNanoseconds();  // CLOCK_MONOTONIC
void SleepUntil(int64_t nanoseconds);

[[noreturn]] void Die(const std::string& what);
// With errno's text.
[[noreturn]] void DieOfErrno(const std::string& what);

// First thing in main(): the process is killed when its parent dies, may open
// as many files as the system lets it, sleeps as precisely as the kernel can,
// and does not die of SIGPIPE.
void BeginProcess();

// A server's last act: tells whoever started it the port, and returns when
// that one closes the pipe to its standard input.
void ServeUntilStdinEnds(uint16_t port);

// Processor time that a process has used, all threads, in nanoseconds.
int64_t CpuNanoseconds(pid_t pid);
// Its resident memory, and the most that it has ever been.
int64_t ResidentBytes(pid_t pid);
int64_t PeakResidentBytes(pid_t pid);
int CountThreads(pid_t pid);

}  // namespace tern::bench

#endif  // TERN_BENCH_LOAD_PROCESS_H_
