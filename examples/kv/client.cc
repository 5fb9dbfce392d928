// The key-value store's command line client. See kUsage.

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "examples/kv/client_output.h"
#include "examples/kv/entry_text.h"
#include "examples/kv/kv.tern.client.h"
#include "examples/kv/limits.h"
#include "examples/kv/loader.h"
#include "examples/kv/progress.h"
#include "examples/kv/transact_command.h"
#include "examples/kv/watch_command.h"
#include "tern/lib/call/call_error.h"

namespace {

using kv::FailCall;
using kv::FinishOutput;
using kv::kFailed;
using kv::kNoSuchKey;
using kv::kOk;
using kv::kWrongUsage;

constexpr std::string_view kUsage = R"(Usage: client [OPTION]... COMMAND

  get KEY         print the value, and a line feed
  put KEY VALUE   set the value
  delete KEY      delete it (no error when there is none)
  scan [PREFIX]   print all entries, or those whose key starts with PREFIX, in the
                  order of their keys, as lines of KEY<TAB>VALUE
  load FILE       put the entries of such lines; `-` reads stdin
  transact        read commands from stdin, one on a line, and make one transaction of
                  them: get KEY, put KEY VALUE, delete KEY, and at the end commit or
                  abort. get prints KEY<TAB>VALUE, or KEY when it has no value
  watch [PREFIX]  print changes as they happen, until Ctrl-C, as lines of
                  REVISION<TAB>KEY<TAB>VALUE, or REVISION<TAB>KEY when it was deleted

  --server=ADDRESS  HOST:PORT or unix:/PATH. Default: 127.0.0.1:7117
  --timeout=TIME    of each call: 500ms, 5s, 1m. Default: 10s. With transact of each
                    command, with watch of nothing
  --after=REVISION  where watch begins. Default: with the next change
  --help            print this
  --                what follows are no options, even if it starts with a dash

KEY, VALUE and PREFIX are taken as they are. In the lines of scan, load, watch and
transact, \t, \n, \r, \\ and \xHH stand for the byte that they name, so that any bytes
survive (in transact also a space in a key: \x20):

  client --server=a:7117 scan | client --server=b:7117 load -

load reports malformed lines by their number, leaves them out and goes on. It stops at
the first call that fails, and tells which lines are not stored. When a key occurs more
than once, the last line counts.

transact writes at the commit, and only if nobody has changed meanwhile what it has read;
without a commit it writes nothing. At a terminal it lets you mistype.

watch goes on where it was when the server has been away. It ends when it has missed
changes: too far behind, or the server was started anew.

Data goes to stdout, all else to stderr. Exit code: 0 done, 1 a call failed or a line was
malformed, 2 the command line is wrong, 3 get found no such key, 4 transact met with a
conflict and can be tried again.
)";

struct Flags {
  std::string server = "127.0.0.1:7117";
  absl::Duration timeout = absl::Seconds(10);
  uint64_t after = 0;
  std::vector<std::string> words;  // The command and its arguments.
};

[[noreturn]] void ExitWithUsageError(std::string_view message) {
  std::cerr << "client: " << message << "\nTry: client --help\n";
  std::exit(kWrongUsage);
}

Flags ParseFlags(int argc, char** argv) {
  static constexpr option kOptions[] = {
      {"server", required_argument, nullptr, 's'},
      {"timeout", required_argument, nullptr, 't'},
      {"after", required_argument, nullptr, 'a'},
      {"help", no_argument, nullptr, 'h'},
      {},
  };
  Flags flags;
  while (true) {
    switch (getopt_long(argc, argv, "h", kOptions, nullptr)) {
      case 's':
        flags.server = optarg;
        break;
      case 't':
        if (!absl::ParseDuration(optarg, &flags.timeout) ||
            flags.timeout <= absl::ZeroDuration()) {
          ExitWithUsageError("--timeout takes a time, such as 500ms or 5s");
        }
        break;
      case 'a':
        if (!absl::SimpleAtoi(optarg, &flags.after) || flags.after == 0) {
          ExitWithUsageError("--after takes a revision, a number from 1 on");
        }
        break;
      case 'h':
        std::cout << kUsage;
        std::exit(kOk);
      case -1:
        flags.words.assign(argv + optind, argv + argc);
        return flags;
      default:
        ExitWithUsageError("the command line is wrong");  // getopt said why.
    }
  }
}

// The commands, with the arguments that they need already counted.
class Client {
 public:
  explicit Client(const Flags& flags)
      : channel_(tern::Channel::Create(flags.server)),
        store_(*channel_),
        timeout_(flags.timeout),
        after_(flags.after) {}

  int Get(const std::string& key) {
    kv::v1::GetRequest request;
    request.set_key(key);
    const auto reply = store_.Get(request, {.timeout = timeout_});
    if (!reply.ok()) {
      const absl::Status& status = reply.status();
      if (!absl::IsNotFound(status) ||
          tern::CertaintyOf(status) != tern::Certainty::kFinished) {
        return FailCall(status);
      }
      std::cerr << "client: " << status.message() << "\n";
      return kNoSuchKey;
    }
    std::cout << reply->value() << "\n";
    return FinishOutput();
  }

  int Put(const std::string& key, const std::string& value) {
    kv::v1::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    const auto reply = store_.Put(request, {.timeout = timeout_});
    return reply.ok() ? kOk : FailCall(reply.status());
  }

  int Delete(const std::string& key) {
    kv::v1::DeleteRequest request;
    request.set_key(key);
    const auto reply = store_.Delete(request, {.timeout = timeout_});
    return reply.ok() ? kOk : FailCall(reply.status());
  }

  int Scan(const std::string& prefix) {
    kv::v1::ScanRequest request;
    request.set_prefix(prefix);
    request.set_page_size(kv::kMaxPageEntries);
    do {
      const auto page = store_.Scan(request, {.timeout = timeout_});
      if (!page.ok()) return FailCall(page.status());
      for (const kv::v1::Entry& entry : page->entries()) {
        std::cout << kv::FormatEntry(entry.key(), entry.value()) << "\n";
      }
      if (!std::cout) break;
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return FinishOutput();
  }

  int Watch(const std::string& prefix) {
    return kv::WatchCommand(store_, prefix, after_);
  }

  int Transact() {
    return kv::TransactCommand(store_, stdin, isatty(STDIN_FILENO) == 1,
                               timeout_);
  }

  int Load(const std::string& path) {
    std::FILE* const input =
        path == "-" ? stdin : std::fopen(path.c_str(), "r");
    if (input == nullptr) {
      std::cerr << "client: " << path << ": " << strerror(errno) << "\n";
      return kFailed;
    }
    struct stat about = {};
    const bool size_known =
        fstat(fileno(input), &about) == 0 && S_ISREG(about.st_mode);
    const tern::MonotonicTime started = tern::MonotonicTime::Now();
    kv::LoadResult result;
    {
      kv::Progress progress(size_known ? static_cast<uint64_t>(about.st_size)
                                       : 0);
      kv::LoadOptions options;
      options.input_name = path == "-" ? "stdin" : path;
      options.timeout = timeout_;
      options.report = [&](std::string_view problem) {
        progress.PrintLine("client: " + std::string(problem));
      };
      options.progress = [&](uint64_t entries, uint64_t bytes) {
        progress.Update(entries, bytes);
      };
      result = kv::Load(input, store_, options);
    }
    if (input != stdin) std::fclose(input);
    std::cerr << "loaded " << kv::WithCommas(result.entries) << " entries in "
              << kv::WithCommas(result.batches) << " calls, "
              << absl::FormatDuration(
                     absl::Trunc(tern::MonotonicTime::Now() - started,
                                 absl::Milliseconds(1)));
    if (result.malformed_lines > 0) {
      std::cerr << "; " << kv::WithCommas(result.malformed_lines)
                << " malformed lines left out";
    }
    if (result.failed_batches > 0 || result.read_failed) {
      std::cerr << "; stopped by an error";
    }
    std::cerr << "\n";
    return result.ok() ? kOk : kFailed;
  }

 private:
  const std::unique_ptr<tern::Channel> channel_;
  kv::v1::KeyValue::Stub store_;
  const absl::Duration timeout_;
  const uint64_t after_;
};

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const Flags flags = ParseFlags(argc, argv);
  const std::vector<std::string>& words = flags.words;
  if (words.empty()) ExitWithUsageError("no command");
  const std::string& command = words[0];
  const size_t arguments = words.size() - 1;

  Client client(flags);
  if (command == "get" && arguments == 1) return client.Get(words[1]);
  if (command == "put" && arguments == 2) return client.Put(words[1], words[2]);
  if (command == "delete" && arguments == 1) return client.Delete(words[1]);
  if (command == "scan" && arguments == 0) return client.Scan("");
  if (command == "scan" && arguments == 1) return client.Scan(words[1]);
  if (command == "load" && arguments == 1) return client.Load(words[1]);
  if (command == "transact" && arguments == 0) return client.Transact();
  if (command == "watch" && arguments == 0) return client.Watch("");
  if (command == "watch" && arguments == 1) return client.Watch(words[1]);

  for (const std::string_view known :
       {"get", "put", "delete", "scan", "load", "transact", "watch"}) {
    if (command == known) {
      ExitWithUsageError(command + " does not take " +
                         std::to_string(arguments) + " arguments");
    }
  }
  ExitWithUsageError("no such command: " + command);
}
