#include "examples/kv/watch_command.h"

#include <iostream>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "examples/kv/entry_text.h"

namespace kv {
namespace {

// Before another try, at a server that takes a connection and then goes, as one
// does that is being killed.
constexpr absl::Duration kPause = absl::Milliseconds(100);

void Print(const v1::Change& change) {
  std::cout << change.revision() << "\t"
            << (change.deleted() ? EscapeText(change.key())
                                 : FormatEntry(change.key(), change.value()))
            << "\n";
}

}  // namespace

ExitCode WatchCommand(v1::KeyValue::StubInterface& store,
                      const std::string& prefix, uint64_t after_revision) {
  v1::WatchRequest request;
  request.set_prefix(prefix);
  request.set_after_revision(after_revision);
  tern::CallOptions options;
  bool ever_begun = false;
  while (true) {
    auto reader = store.Watch(request, options);
    bool begun = false;
    for (v1::WatchReply reply; reader.Read(&reply);) {
      if (!begun) {
        std::cerr << "client: watching, after revision " << reply.revision()
                  << std::endl;
      }
      begun = true;
      request.set_after_revision(reply.revision());
      for (const v1::Change& change : reply.changes()) Print(change);
      if (!std::cout.flush()) return FinishOutput();
    }
    const absl::Status status = reader.Finish();
    ever_begun |= begun;
    // UNAVAILABLE is a server that drains, too. Nobody here cancels: a server
    // does, at its end.
    const bool has_gone =
        absl::IsUnavailable(status) || absl::IsCancelled(status);
    if (!ever_begun || !has_gone) return FailCall(status);
    if (begun) {
      std::cerr << "client: the server has gone (" << status.message()
                << "); waiting for it" << std::endl;
    } else {
      absl::SleepFor(kPause);
    }
    options.wait_for_ready = true;
  }
}

}  // namespace kv
