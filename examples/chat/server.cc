// The chat's server. See kUsage.

#include "tern/server/server.h"

#include <getopt.h>
#include <signal.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "examples/chat/service.h"

namespace {

constexpr std::string_view kUsage = R"(Usage: chat-server [--listen=ADDRESS]

Lets people talk in rooms until SIGTERM or Ctrl-C; see `chat --help`.

  --listen=ADDRESS  where to listen: HOST:PORT, [::]:PORT (every interface, IPv6
                    and IPv4), unix:/PATH. May be repeated. Default:
                    127.0.0.1:7118
  --help            print this

Prints `listening on ADDRESS...` once it serves, and `drained` at the end. Exit
code: 0 after a signal, 1 when it cannot serve, 2 when the command line is wrong.
)";
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

// A member has a thread of the server, which mostly sleeps.
constexpr int kMaxMembers = 1000;
// A slow one is to be noticed before it has much of the server's memory.
constexpr size_t kMaxUnsentBytes = 64 << 10;
// Members are sent away when the server is about to end: this is for the way.
constexpr absl::Duration kDrainGrace = absl::Seconds(10);

[[noreturn]] void ExitWithUsageError(std::string_view message) {
  std::cerr << "chat-server: " << message << "\nTry: chat-server --help\n";
  std::exit(kWrongUsage);
}

tern::ServerOptions ParseFlags(int argc, char** argv) {
  static constexpr option kOptions[] = {
      {"listen", required_argument, nullptr, 'l'},
      {"help", no_argument, nullptr, 'h'},
      {},
  };
  tern::ServerOptions options;
  options.max_stream_threads = kMaxMembers;
  options.max_stream_unsent_bytes = kMaxUnsentBytes;
  options.drain_grace = kDrainGrace;
  while (true) {
    switch (getopt_long(argc, argv, "h", kOptions, nullptr)) {
      case 'l':
        options.listen.emplace_back(optarg);
        break;
      case 'h':
        std::cout << kUsage;
        std::exit(0);
      case -1:
        if (optind < argc) ExitWithUsageError("it takes no arguments");
        if (options.listen.empty()) options.listen = {"127.0.0.1:7118"};
        return options;
      default:
        ExitWithUsageError("the command line is wrong");  // getopt said why.
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const tern::ServerOptions options = ParseFlags(argc, argv);

  // A stop that arrives between "listening" and Wait() must not be missed, nor
  // kill us: it stays pending until Wait() takes it.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  chat::ChatService service;
  tern::Server server(options);
  server.Register(&service);
  if (const absl::Status status = server.Start(); !status.ok()) {
    std::cerr << "chat-server: " << status.message() << "\n";
    return kFailed;
  }
  std::cout << "listening on " << absl::StrJoin(server.addresses(), ", ")
            << std::endl;
  server.Wait();
  std::cout << "drained" << std::endl;
}
