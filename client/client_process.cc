#include "tern/client/client_process.h"

#include <pthread.h>

#include <atomic>
#include <memory>
#include <random>

namespace tern {
namespace {

std::atomic<uint32_t> fork_generation{0};

}  // namespace

absl::StatusOr<net::EventLoop*> NextClientLoop() {
  struct Loops {
    const uint32_t generation = ForkGeneration();
    const absl::StatusOr<std::unique_ptr<net::EventLoopGroup>> group =
        net::EventLoopGroup::Create(0, "tern-client");
  };
  // Never destroyed: callbacks may run until the process ends.
  static const Loops& loops = *new Loops;
  if (!loops.group.ok()) return loops.group.status();
  if (loops.generation != ForkGeneration()) {
    return absl::FailedPreconditionError(
        "the I/O threads belong to the parent of this process, which was "
        "forked without exec");
  }
  return (*loops.group)->Next();
}

uint32_t ForkGeneration() {
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { fork_generation.fetch_add(1); });
  (void)registered;
  return fork_generation.load(std::memory_order_relaxed);
}

uint64_t ClientProcessId() {
  static const uint64_t id = [] {
    std::random_device device;
    return uint64_t{device()} << 32 | device();
  }();
  return id;
}

uint64_t NextCallSequence() {
  // In blocks, so that calls of different threads share no cache line.
  constexpr uint64_t kBlock = 1024;
  static std::atomic<uint64_t> next_block{1};
  thread_local uint64_t next = 0;
  if (next % kBlock == 0) {
    next = next_block.fetch_add(1, std::memory_order_relaxed) * kBlock;
  }
  return next++;
}

}  // namespace tern
