// A server whose Block waits in a coroutine: for a timer ("timer"), or for the
// same call of another such server, a child process ("relay"). Call answers
// with how many wait.

#include "tern/server/server.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/echo.tern.client.h"
#include "bench/echo.tern.server.h"
#include "bench/load/process.h"
#include "tern/client/channel.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/call/task.h"

namespace tern::bench {
namespace {

class TimerService final : public Echo::CoService {
  Task<absl::Status> Call(ServerContext&, const Payload&,
                          Payload* reply) override {
    reply->set_body(std::to_string(waiting_.load()));
    co_return absl::OkStatus();
  }
  Task<absl::Status> Block(ServerContext&, const BlockRequest& request,
                           Payload*) override {
    ++waiting_;
    absl::Status slept =
        co_await tern::SleepFor(absl::Milliseconds(request.milliseconds()));
    --waiting_;
    co_return slept;
  }

  std::atomic<int> waiting_{0};
};

class RelayService final : public Echo::CoService {
 public:
  // As many connections, since each takes 1,024 calls at a time.
  RelayService(const std::string& target, int connections) {
    for (int i = 0; i < connections; ++i) {
      channels_.push_back(Channel::Create(target));
      stubs_.emplace_back(*channels_.back());
    }
  }

 private:
  // Those that have arrived at the other server.
  Task<absl::Status> Call(ServerContext&, const Payload& request,
                          Payload* reply) override {
    absl::StatusOr<Payload> inner = co_await stubs_[0].Co().Call(request);
    if (!inner.ok()) co_return inner.status();
    *reply = *std::move(inner);
    co_return absl::OkStatus();
  }
  Task<absl::Status> Block(ServerContext&, const BlockRequest& request,
                           Payload*) override {
    const size_t turn = next_.fetch_add(1) % stubs_.size();
    co_return (co_await stubs_[turn].Co().Block(request)).status();
  }

  std::atomic<size_t> next_{0};
  std::vector<std::unique_ptr<Channel>> channels_;
  std::vector<Echo::Stub> stubs_;
};

void Serve(Service* service) {
  Server server({.listen = {"127.0.0.1:0"}});
  server.Register(service);
  if (const absl::Status status = server.Start(); !status.ok()) {
    Die(status.ToString());
  }
  ServeUntilStdinEnds(server.port());
  server.Stop();
}

// Its standard input ends with this process.
uint16_t StartOther() {
  int lifeline[2];
  int answers[2];
  if (pipe(lifeline) != 0 || pipe(answers) != 0) DieOfErrno("pipe");
  const pid_t child = fork();
  if (child < 0) DieOfErrno("fork");
  if (child == 0) {
    dup2(lifeline[0], STDIN_FILENO);
    dup2(answers[1], STDOUT_FILENO);
    for (const int end : {lifeline[0], lifeline[1], answers[0], answers[1]}) {
      close(end);
    }
    execl("/proc/self/exe", "server", "timer", nullptr);
    DieOfErrno("exec");
  }
  close(lifeline[0]);
  close(answers[1]);
  FILE* const lines = fdopen(answers[0], "r");
  int port = 0;
  if (std::fscanf(lines, "listening %d", &port) != 1) {
    Die("the other server did not start");
  }
  return static_cast<uint16_t>(port);
}

}  // namespace
}  // namespace tern::bench

int main(int argc, char** argv) {
  using tern::bench::Die;
  constexpr int kConnections = 100;
  tern::bench::BeginProcess();
  const std::string_view what = argc == 2 ? argv[1] : "";
  if (what == "timer") {
    tern::bench::TimerService service;
    tern::bench::Serve(&service);
  } else if (what == "relay") {
    const uint16_t port = tern::bench::StartOther();
    tern::bench::RelayService service("127.0.0.1:" + std::to_string(port),
                                      kConnections);
    tern::bench::Serve(&service);
  } else {
    Die("timer or relay?");
  }
}
