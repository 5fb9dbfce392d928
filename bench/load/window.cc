#include "bench/load/window.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "bench/load/process.h"

namespace tern::bench {

Window::Window(pid_t server, bool counters, std::function<uint64_t()> calls)
    : server_(server), count_(counters), calls_(std::move(calls)) {}

void Window::Begin() {
  // Now, when the server has all the threads that it will have.
  if (count_) counters_ = std::make_unique<ProcessCounters>(server_);
  begin_ = Read();
}

void Window::End() { end_ = Read(); }

Window::Reading Window::Read() const {
  Reading now = {
      .time = NowNanoseconds(),
      .calls = calls_(),
      .server_cpu = CpuNanoseconds(server_),
      .client_cpu = CpuNanoseconds(getpid()),
  };
  if (counters_ != nullptr) {
    now.user_instructions = counters_->Read(ProcessCounters::kUserInstructions);
    now.kernel_instructions =
        counters_->Read(ProcessCounters::kKernelInstructions);
    now.system_calls = counters_->Read(ProcessCounters::kSystemCalls);
  }
  return now;
}

void Window::Print(const Histogram& latencies, const Values& more) const {
  const auto calls = static_cast<double>(end_.calls - begin_.calls);
  if (calls == 0) Die("no call ended in the time that was measured");
  std::printf("{\"calls\": %.0f, \"seconds\": %.6f, \"calls_per_s\": %.1f",
              calls, seconds(), calls / seconds());
  for (const auto& [name, percent] :
       {std::pair("p50_us", 50.0), std::pair("p90_us", 90.0),
        std::pair("p99_us", 99.0), std::pair("p999_us", 99.9),
        std::pair("max_us", 100.0)}) {
    std::printf(", \"%s\": %.2f", name, latencies.Percentile(percent) / 1e3);
  }
  const auto print_cpu = [calls](const char* name, int64_t nanoseconds) {
    std::printf(", \"%s\": %.3f", name,
                static_cast<double>(nanoseconds) / 1e3 / calls);
  };
  print_cpu("server_cpu_us", end_.server_cpu - begin_.server_cpu);
  print_cpu("client_cpu_us", end_.client_cpu - begin_.client_cpu);
  const auto print_count = [calls](const char* name,
                                   const std::optional<uint64_t>& begin,
                                   const std::optional<uint64_t>& end) {
    if (!begin.has_value() || !end.has_value()) return;
    std::printf(", \"%s\": %.4f", name,
                static_cast<double>(*end - *begin) / calls);
  };
  print_count("user_instructions", begin_.user_instructions,
              end_.user_instructions);
  print_count("kernel_instructions", begin_.kernel_instructions,
              end_.kernel_instructions);
  print_count("system_calls", begin_.system_calls, end_.system_calls);
  for (const auto& [name, value] : more) {
    std::printf(", \"%s\": %.3f", name, value);
  }
  std::printf("}\n");
  std::fflush(stdout);
}

}  // namespace tern::bench
