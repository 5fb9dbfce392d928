#include "bench/load/options.h"

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "bench/load/process.h"

namespace tern::bench {
namespace {

Mode ToMode(const std::string& name) {
  if (name == "blocking") return Mode::kBlocking;
  if (name == "async") return Mode::kAsync;
  if (name == "open") return Mode::kOpen;
  if (name == "idle") return Mode::kIdle;
  if (name == "pour") return Mode::kPour;
  if (name == "beside") return Mode::kBeside;
  Die("--mode=" + name + "?");
}

}  // namespace

// By hand: absl/flags would be linked into peers that bring an Abseil of their
// own, and a client has one caller, bench.py.
LoadOptions ParseOptions(int argc, char** argv) {
  std::map<std::string, std::string, std::less<>> given;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const size_t equals = argument.find('=');
    if (!argument.starts_with("--") || equals == argument.npos) {
      Die("--NAME=VALUE is wanted, not " + std::string(argument));
    }
    given[std::string(argument.substr(2, equals - 2))] =
        argument.substr(equals + 1);
  }
  const auto take = [&given](std::string_view name, auto* value) {
    const auto found = given.find(name);
    if (found == given.end()) return;
    *value = static_cast<std::remove_pointer_t<decltype(value)>>(
        std::atof(found->second.c_str()));
    given.erase(found);
  };

  LoadOptions options;
  take("port", &options.peer.port);
  take("bytes", &options.peer.bytes);
  take("stream_bytes", &options.peer.stream_bytes);
  take("server_pid", &options.server_pid);
  take("connections", &options.connections);
  take("threads", &options.threads);
  take("outstanding", &options.outstanding);
  take("blocked", &options.blocked);
  take("block_milliseconds", &options.block_milliseconds);
  take("loops", &options.loops);
  take("rate", &options.rate);
  take("seconds", &options.seconds);
  take("warmup_seconds", &options.warmup_seconds);
  take("idle_seconds", &options.idle_seconds);
  take("stream_mib", &options.stream_mib);
  take("counters", &options.counters);
  if (const auto mode = given.find("mode"); mode != given.end()) {
    options.mode = ToMode(mode->second);
    given.erase(mode);
  }
  if (const auto variant = given.find("variant"); variant != given.end()) {
    options.peer.variant = variant->second;
    given.erase(variant);
  }
  options.peer.shared =
      options.threads > options.connections || options.mode == Mode::kBeside;
  if (!given.empty()) Die("no such option: --" + given.begin()->first);
  if (options.peer.port == 0 || options.server_pid == 0) {
    Die("--port and --server_pid are needed");
  }
  return options;
}

}  // namespace tern::bench
