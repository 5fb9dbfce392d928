#include "tests/layering/arrows.h"

#include <algorithm>
#include <initializer_list>

namespace tern::layering {
namespace {

using Prefixes = std::vector<std::string_view>;

// A folder's includes. Everything is a prefix of what stands between the
// quotes or the angle brackets; a whole name ends in ".h" or '>'.
struct Rule {
  std::string_view folder;
  Prefixes ours;       // What it may include of this repository.
  Prefixes forbidden;  // What it must not include, in that and outside.
};

Prefixes Join(std::initializer_list<Prefixes> lists) {
  Prefixes joined;
  for (const Prefixes& list : lists) {
    joined.insert(joined.end(), list.begin(), list.end());
  }
  return joined;
}

const std::vector<Rule>& Rules() {
  static const Prefixes sockets = {
      "arpa/",        "liburing",     "linux/",  "net/",       "netdb.h",
      "netinet/",     "netpacket/",   "poll.h",  "sys/epoll.", "sys/poll.h",
      "sys/select.h", "sys/socket.h", "sys/un.h"};
  static const Prefixes protobuf = {"google/protobuf/", "tern/"};
  static const Prefixes system = {"fcntl.h", "sched.h", "signal.h", "sys/",
                                  "unistd.h"};
  static const Prefixes threads = {"absl/synchronization/",
                                   "barrier>",
                                   "condition_variable>",
                                   "future>",
                                   "latch>",
                                   "lib/base/mutex.h",
                                   "lib/base/thread",
                                   "mutex>",
                                   "pthread.h",
                                   "semaphore",
                                   "shared_mutex>",
                                   "stop_token>",
                                   "thread>",
                                   "threads.h"};
  static const Prefixes clocks = {"absl/time/clock.h", "chrono>", "ctime>",
                                  "time.h"};
  static const Prefixes runtime = {"lib/base/", "lib/call/", "lib/net/",
                                   "lib/wire/"};
  static const std::vector<Rule> rules = {
      {"lib/base/", {"lib/base/"}, Join({sockets, protobuf})},
      {"lib/wire/",
       {"lib/base/", "lib/wire/"},
       Join({sockets, system, threads, clocks})},
      {"lib/call/", {"lib/base/", "lib/call/", "lib/wire/"}, sockets},
      {"lib/compress/",
       {"lib/base/", "lib/call/", "lib/compress/"},
       Join({sockets, system, protobuf})},
      {"lib/net/", {"lib/base/", "lib/net/", "lib/wire/"}, protobuf},
      {"lib/codegen/", {"lib/codegen/", "tern/method.pb.h"}, {}},
      {"server/", Join({runtime, {"server/"}}), {}},
      {"client/", Join({runtime, {"client/"}}), {}},
      // Of the two ends, public headers only.
      {"examples/",
       {"client/call_handle.h", "client/call_options.h", "client/channel.h",
        "client/stub.h", "examples/", "lib/base/", "lib/call/",
        "server/server.h", "server/server_context.h", "server/server_options.h",
        "server/service.h"},
       {}},
  };
  return rules;
}

bool StartsWithAny(std::string_view name, const Prefixes& prefixes) {
  return std::any_of(
      prefixes.begin(), prefixes.end(),
      [name](std::string_view prefix) { return name.starts_with(prefix); });
}

// Whether `name` is a path from the root of this repository.
bool IsOurs(std::string_view name) {
  return StartsWithAny(name, {"bench/", "client/", "examples/", "lib/",
                              "server/", "tern/", "tests/"});
}

std::string_view SkipSpaces(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t");
  return start == text.npos ? std::string_view() : text.substr(start);
}

// Returns what a line includes, with the closing '>' and without quotes, or
// nothing: `#include <mutex>` gives "mutex>", `#include "tern/lib/a.h"`
// "lib/a.h".
std::string_view IncludedName(std::string_view line) {
  line = SkipSpaces(line);
  if (!line.starts_with('#')) return {};
  line = SkipSpaces(line.substr(1));
  if (!line.starts_with("include")) return {};
  line = SkipSpaces(line.substr(7));
  if (line.size() < 2 || (line[0] != '<' && line[0] != '"')) return {};
  const bool angle = line[0] == '<';
  const size_t end = line.find(angle ? '>' : '"', 1);
  if (end == line.npos) return {};
  std::string_view name = line.substr(1, angle ? end : end - 1);
  if (constexpr std::string_view kTern = "tern/"; name.starts_with(kTern)) {
    const std::string_view path = name.substr(kTern.size());
    if (StartsWithAny(path, {"client/", "lib/", "server/"})) return path;
  }
  return name;
}

// Returns why `rule` forbids `name`, or an empty string.
std::string Refusal(const Rule& rule, std::string_view name, bool quoted) {
  if (name.find("..") != name.npos) return "a path from the root is wanted";
  if (quoted && name.find('/') == name.npos) {
    return "a path from the root is wanted";
  }
  if (IsOurs(name) && !StartsWithAny(name, rule.ours)) {
    return "that is not below it";
  }
  if (StartsWithAny(name, rule.forbidden)) return "it must do without";
  return "";
}

}  // namespace

std::vector<std::string> Folders() {
  std::vector<std::string> folders;
  for (const Rule& rule : Rules()) folders.emplace_back(rule.folder);
  return folders;
}

std::vector<std::string> CheckIncludes(std::string_view path,
                                       std::string_view text) {
  const auto& rules = Rules();
  const auto rule = std::find_if(
      rules.begin(), rules.end(),
      [path](const Rule& rule) { return path.starts_with(rule.folder); });
  if (rule == rules.end()) {
    return {std::string(path) + ": its folder has no rule in arrows.cc"};
  }

  std::vector<std::string> faults;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));

    const std::string_view name = IncludedName(line);
    if (name.empty()) continue;
    std::string why = Refusal(*rule, name, !name.ends_with('>'));
    if (why.empty() && StartsWithAny(name, {"client/", "lib/", "server/"}) &&
        line.find("tern/" + std::string(name)) == line.npos) {
      why = "write tern/ before it, or a user's own header may be found";
    }
    if (why.empty()) continue;
    faults.push_back(std::string(path) + ":" + std::to_string(number) + ": " +
                     std::string(rule->folder) + " must not have `" +
                     std::string(SkipSpaces(line)) + "`: " + why);
  }
  return faults;
}

}  // namespace tern::layering
