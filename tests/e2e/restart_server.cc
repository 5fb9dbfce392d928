// A server for restart_test: serves Tester at LISTEN until SIGTERM, then writes
// the texts of all the calls that it has run to RECORD, a line each.

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "tern/lib/base/mutex.h"
#include "tern/server/server.h"
#include "tests/testing/event.h"
#include "tests/testing/tester.tern.server.h"

namespace tern::testing {
namespace {

class Recorder final : public Tester::Service {
 public:
  absl::Status Call(ServerContext&, const Message& request,
                    Message* reply) override {
    MutexLock lock(mutex_);
    ran_.push_back(request.text());
    *reply = request;
    return absl::OkStatus();
  }

  // The request's number and those behind it, until the server drains (the
  // client goes on elsewhere then) or all streams are to end.
  absl::Status Watch(ServerContext& context, const Message& request,
                     ServerWriter<Message>& writer) override {
    Event over;
    const auto drained = context.OnDrain([&over] { over.Notify(); });
    const auto cancelled =
        context.cancellation().OnCancel([&over] { over.Notify(); });
    Message message;
    uint64_t number = strtoull(request.text().c_str(), nullptr, 10);
    do {
      message.set_text(std::to_string(number++));
      if (!writer.Write(message)) break;
    } while (!enough_ && !over.Wait(1, /*patience=*/absl::Milliseconds(1)));
    return absl::OkStatus();
  }
  // Ends all streams.
  absl::Status Other(ServerContext&, const Message&, Message*) override {
    enough_ = true;
    return absl::OkStatus();
  }

  void Write(const std::string& path) {
    std::ofstream file(path);
    MutexLock lock(mutex_);
    for (const std::string& text : ran_) file << text << "\n";
  }

 private:
  std::atomic<bool> enough_{false};
  Mutex mutex_;
  std::vector<std::string> ran_ ABSL_GUARDED_BY(mutex_);
};

int Run(const std::string& listen, const std::string& record) {
  // Taken by Wait(), whenever it comes.
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, nullptr);
  Recorder recorder;
  Server server({.listen = {listen}, .drain_grace = kPatience});
  server.Register(&recorder);
  if (const absl::Status status = server.Start(); !status.ok()) {
    std::cerr << status << std::endl;
    return 1;
  }
  std::cout << "listening" << std::endl;
  server.Wait();
  recorder.Write(record);
  return 0;
}

}  // namespace
}  // namespace tern::testing

int main(int argc, char** argv) {
  return argc == 3 ? tern::testing::Run(argv[1], argv[2]) : 2;
}
