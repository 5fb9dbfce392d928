#include "tests/fuzz/session_fuzzer.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tern/lib/base/log.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/recording_host.h"
#include "tests/testing/session_io.h"

namespace tern::testing {
namespace {

constexpr MonotonicTime kStart = MonotonicTime::FromNanoseconds(1'000'000'000);
constexpr std::string_view kPassTime("\xfeT", 2);

class Fuzzed {
 public:
  explicit Fuzzed(uint8_t choices)
      : is_client_((choices & 1) != 0),
        hold_((choices & 4) != 0),
        piece_((choices >> 3) == 0 ? std::string_view::npos : choices >> 3),
        host_(Options(choices), kStart) {
    host_.consume = !hold_;
    host_.hook = [this](std::string_view event) { Answer(event); };
    if (!is_client_) return;
    host_.Call(kUnary, "question", kStart,
               {.deadline = kStart + absl::Seconds(20)});
    host_.Call(kUnary, TestMessage(Pattern(20'000), 100), kStart);
    host_.Open(kBidirectional, kStart);
    host_.Send(5, "first").IgnoreError();
  }

  void Feed(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t passes = bytes.find(kPassTime);
      const size_t until = std::min(passes, bytes.size());
      Receive(bytes.substr(0, until));
      bytes.remove_prefix(until);
      if (bytes.size() < 4) return Receive(bytes);
      now_ = now_ + absl::Milliseconds(static_cast<uint8_t>(bytes[2]) << 8 |
                                       static_cast<uint8_t>(bytes[3]));
      host_.session().OnTime(now_);
      bytes.remove_prefix(4);
    }
  }

  void End() {
    TERN_CHECK(host_.session().NextTimeout() >= kStart);
    host_.session().OnTime(now_ + absl::Seconds(30));
    TakeAllOutput();
    host_.session().OnTransportClosed("end of the input", now_);
    for (const wire::StreamId id : host_.live_ids()) {
      host_.Finish(id).IgnoreError();
    }
    for (const std::string& line : DescribeFrames(sent_)) {
      TERN_CHECK(line.front() != '?') << line;
    }
    TERN_CHECK(host_.closed_told());
    TERN_CHECK(host_.live_streams() == 0);
    TERN_CHECK(host_.session().open_streams() == 0);
    TERN_CHECK(host_.session().unsent_bytes() == 0);
    TERN_CHECK(host_.session().assembling_bytes() == 0);
  }

 private:
  static wire::SessionOptions Options(uint8_t choices) {
    return {
        .role = (choices & 1) != 0 ? wire::Role::kClient : wire::Role::kServer,
        .hello = {.features = (choices & 2) != 0 ? wire::kFeatureChecksum : 0}};
  }

  void Receive(std::string_view bytes) {
    while (!bytes.empty()) {
      // Storage of exactly that size: a read beyond it is an error to ASan.
      const size_t size = std::min(bytes.size(), piece_);
      const std::vector<char> piece(bytes.begin(), bytes.begin() + size);
      tern::testing::Receive(host_.session(), {piece.data(), size}, now_,
                             piece_ % 2 == 0 ? Way::kDirect : Way::kCopied);
      bytes.remove_prefix(size);
      if (!hold_) TakeAllOutput();
    }
  }

  void TakeAllOutput() {
    for (;;) {
      const std::string output = TakeOutput(host_.session());
      if (output.empty()) return;
      sent_ += output;
    }
  }

  // A server that echoes as soon as it can.
  void Answer(std::string_view event) {
    if (is_client_ || hold_) return;
    if (event.substr(0, 10) == "half-close") {
      const wire::StreamId id = StreamOf(event);
      if (ShapeOf(host_.method(id)).server_streaming) {
        host_.Finish(id).IgnoreError();
      } else if (!host_.messages(id).empty()) {
        host_.Reply(id, host_.last_message(id)).IgnoreError();
      }
    } else if (event.substr(0, 7) == "message") {
      const wire::StreamId id = StreamOf(event);
      if (ShapeOf(host_.method(id)).server_streaming) {
        host_.Send(id, host_.last_message(id)).IgnoreError();
      }
    }
  }

  const bool is_client_;
  const bool hold_;
  const size_t piece_;
  MonotonicTime now_ = kStart;
  RecordingHost host_;
  std::string sent_;
};

}  // namespace

void FuzzSession(std::string_view input) {
  if (input.empty()) return;
  Fuzzed fuzzed(static_cast<uint8_t>(input.front()));
  fuzzed.Feed(input.substr(1));
  fuzzed.End();
}

}  // namespace tern::testing
