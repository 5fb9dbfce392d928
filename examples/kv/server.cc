// The key-value server: kv.proto over LevelDB. See kUsage.

#include "tern/server/server.h"

#include <getopt.h>
#include <signal.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "examples/kv/service.h"
#include "examples/kv/store.h"

namespace {

constexpr std::string_view kUsage =
    R"(Usage: server --data=DIRECTORY [OPTION]...

Serves the key-value store in DIRECTORY (made if it does not exist) until SIGTERM
or Ctrl-C; it then takes no new calls, finishes those in flight and ends. A second
signal ends it at once.

  --data=DIRECTORY  where the store is; one server at a time
  --listen=ADDRESS  where to listen: HOST:PORT, [::]:PORT (every interface, IPv6
                    and IPv4), unix:/PATH; port 0 chooses one. May be repeated,
                    or list several with commas. Default: 127.0.0.1:7117
  --threads=N       threads that run calls, 1 to 1,024. Default: the larger of 8
                    and 4 per core
  --sync            a write is on disk before it is acknowledged (default)
  --nosync          faster; a crash of the machine may lose acknowledged writes
  --help            print this

Prints `listening on ADDRESS...` once it serves, and `drained` at the end. Exit
code: 0 after a signal, 1 when it cannot serve (the reason is on stderr), 2 when
the command line is wrong.
)";
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kMaxThreads = 1024;

struct Flags {
  kv::StoreOptions store;
  tern::ServerOptions server;
};

[[noreturn]] void ExitWithUsageError(std::string_view message) {
  std::cerr << "server: " << message << "\nTry: server --help\n";
  std::exit(kWrongUsage);
}

void AddAddresses(const char* list, std::vector<std::string>* addresses) {
  for (std::string& address :
       std::vector<std::string>(absl::StrSplit(list, ','))) {
    if (address.empty()) ExitWithUsageError("--listen: an address is empty");
    addresses->push_back(std::move(address));
  }
}

// Exits when there is nothing to serve.
Flags ParseFlags(int argc, char** argv) {
  static constexpr option kOptions[] = {
      {"data", required_argument, nullptr, 'd'},
      {"listen", required_argument, nullptr, 'l'},
      {"threads", required_argument, nullptr, 't'},
      {"sync", no_argument, nullptr, 's'},
      {"nosync", no_argument, nullptr, 'n'},
      {"help", no_argument, nullptr, 'h'},
      {},
  };
  Flags flags;
  while (true) {
    switch (getopt_long(argc, argv, "h", kOptions, nullptr)) {
      case 'd':
        flags.store.directory = optarg;
        break;
      case 'l':
        AddAddresses(optarg, &flags.server.listen);
        break;
      case 't':
        if (int& threads = flags.server.worker_threads;
            !absl::SimpleAtoi(optarg, &threads) || threads < 1 ||
            threads > kMaxThreads) {
          ExitWithUsageError("--threads takes a number from 1 to 1,024");
        }
        break;
      case 's':
        flags.store.sync = true;
        break;
      case 'n':
        flags.store.sync = false;
        break;
      case 'h':
        std::cout << kUsage;
        std::exit(0);
      case -1:
        if (optind < argc) {
          ExitWithUsageError("it takes no arguments, only options: " +
                             std::string(argv[optind]));
        }
        if (flags.store.directory.empty()) {
          ExitWithUsageError("--data=DIRECTORY is missing");
        }
        if (flags.server.listen.empty()) {
          flags.server.listen = {"127.0.0.1:7117"};
        }
        return flags;
      default:
        ExitWithUsageError("the command line is wrong");  // getopt said why.
    }
  }
}

int Fail(const absl::Status& status) {
  std::cerr << "server: " << status.message() << "\n";
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags = ParseFlags(argc, argv);

  // A stop that arrives between "listening" and Wait() must not be missed, nor
  // kill us: it stays pending until Wait() takes it.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  auto store = kv::Store::Open(flags.store);
  if (!store.ok()) return Fail(store.status());
  kv::KeyValueService service(store->get());
  tern::Server server(flags.server);
  server.Register(&service);
  if (absl::Status status = server.Start(); !status.ok()) return Fail(status);

  std::cout << "listening on " << absl::StrJoin(server.addresses(), ", ")
            << "; data in " << flags.store.directory
            << (flags.store.sync ? "" : ", not synced") << std::endl;
  server.Wait();
  std::cout << "drained" << std::endl;
}
