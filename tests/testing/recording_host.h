#ifndef TERN_TESTS_TESTING_RECORDING_HOST_H_
#define TERN_TESTS_TESTING_RECORDING_HOST_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/wire/session.h"
#include "tests/testing/pattern.h"

namespace tern::testing {

// The method's name says its shape, to the host of a server too.
inline constexpr std::string_view kUnary = "test.Test/Unary";
inline constexpr std::string_view kClientStreaming =
    "test.Test/ClientStreaming";
inline constexpr std::string_view kServerStreaming =
    "test.Test/ServerStreaming";
inline constexpr std::string_view kBidirectional = "test.Test/Bidirectional";
wire::CallShape ShapeOf(std::string_view method);

// A message in a test: its last `attachment_bytes` bytes are the attachment.
struct TestMessage {
  TestMessage(std::string_view text, size_t attachment = 0)  // NOLINT
      : bytes(text), attachment_bytes(attachment) {}
  TestMessage(const char* text)  // NOLINT
      : TestMessage(std::string_view(text)) {}
  TestMessage(const std::string& text)  // NOLINT
      : TestMessage(std::string_view(text)) {}

  std::string bytes;
  size_t attachment_bytes = 0;
  // Sent as compressed, if not 0: see OutgoingMessage.
  uint32_t inflated_bytes = 0;
};

// A host of one session: writes what it is told as lines of text, checks the
// promises of SessionVisitor while it does, and gives tests verbs for what a
// host can do, with streams named by their ids.
//
//   call 1 test.Test/Unary key=value     half-close 1
//   header 1 key=value                   cancel 1 peer
//   begin 1 70000                        end 1 OK
//   message 1 "text" + "attachment"      end 1 UNAVAILABLE NOT_STARTED local
//   message 1 70000 bytes                goaway NO_ERROR
//   message 1 gzip "as it came"
//   writable 1                           closed ABUSE
class RecordingHost : public wire::SessionVisitor {
 public:
  explicit RecordingHost(wire::SessionOptions options, MonotonicTime now = {});
  ~RecordingHost() override;

  wire::Session& session() { return *session_; }
  // As OnHello had it.
  const wire::Hello& peer_hello() const { return peer_hello_; }

  // The lines since the last time.
  std::vector<std::string> TakeEvents();
  const std::vector<std::string>& events() const { return events_; }
  // The last status text, or reason, that came with an event.
  const std::string& last_text() const { return last_text_; }
  // All that a stream has delivered, attachments at the messages' ends.
  const std::vector<std::string>& messages(wire::StreamId id) {
    return messages_[id];
  }
  const TestMessage& last_message(wire::StreamId id) {
    return last_messages_.at(id);
  }
  // Where the last message lay.
  const char* last_place() const { return last_place_; }
  // nullptr when the host must not touch it any more.
  wire::Stream* stream(wire::StreamId id) const;
  const std::string& method(wire::StreamId id) { return methods_[id]; }
  size_t live_streams() const { return streams_.size(); }
  std::vector<wire::StreamId> live_ids() const;
  bool closed_told() const { return closed_told_; }

  // Called after each event, inside the session's callback.
  std::function<void(std::string_view event)> hook;
  // The answer to OnMessageStart.
  bool accept_messages = true;
  // How many bytes of chunks it has room for.
  size_t room = static_cast<size_t>(-1);
  // Server: whether OnCancel calls Finish at once.
  bool finish_cancelled = true;
  // Whether OnMessage gives the bytes back at once (streaming directions).
  bool consume = true;
  wire::PathFacts path;
  // Whether "begin", "writable" and "hello" are written, and "chunk 1 1000".
  bool log_details = false;
  bool log_chunks = false;
  std::function<wire::CallShape(std::string_view method)> shape_of = ShapeOf;

  // --- Verbs -----------------------------------------------------------------

  // Client: starts a call; the id, or 0 when Start failed (see start_status).
  struct CallArguments {
    MonotonicTime deadline = MonotonicTime::InfiniteFuture();
    std::vector<wire::MetadataEntryView> metadata = {};
    bool half_close = true;
    uint64_t required_features = 0;
    uint32_t codec = 0;
    uint32_t compression = 0;
    uint32_t priority = 0;
  };
  wire::StreamId Call(std::string_view method, const TestMessage& message,
                      MonotonicTime now, const CallArguments& arguments);
  wire::StreamId Call(std::string_view method, const TestMessage& message,
                      MonotonicTime now = {}) {
    return Call(method, message, now, CallArguments());
  }
  // Without a first message, not half-closed.
  wire::StreamId Open(std::string_view method, MonotonicTime now = {},
                      MonotonicTime deadline = MonotonicTime::InfiniteFuture());
  const absl::Status& start_status() const { return start_status_; }
  void Cancel(wire::StreamId id,
              absl::StatusCode code = absl::StatusCode::kCancelled);
  void HalfClose(wire::StreamId id);

  absl::Status Send(wire::StreamId id, const TestMessage& message,
                    bool half_close = false);
  // Server: OK and a message; a status alone.
  absl::Status Reply(wire::StreamId id, const TestMessage& message);
  absl::Status Finish(wire::StreamId id, const wire::StatusHeader& status);
  absl::Status Finish(wire::StreamId id,
                      absl::StatusCode code = absl::StatusCode::kOk);

  // What a client's session may read until its stream has ended.
  struct Lent {
    std::shared_ptr<char[]> bytes;
    size_t size;
  };

  // --- SessionVisitor --------------------------------------------------------

  void OnCall(wire::Stream& stream, const wire::CallHeader& header,
              wire::CallShape* shape) override;
  void OnHalfClose(wire::Stream& stream) override;
  void OnCancel(wire::Stream& stream, wire::CancelCause cause) override;
  void OnResponseHeader(wire::Stream& stream,
                        const wire::ResponseHeader& header) override;
  void OnEnd(wire::Stream& stream, const wire::StatusHeader& status,
             wire::EndCause cause) override;
  bool OnMessageStart(wire::Stream& stream, uint32_t length) override;
  bool OnMessageChunk(wire::Stream& stream, size_t bytes) override;
  void OnMessage(wire::Stream& stream, wire::IncomingMessage& message) override;
  void OnWritable(wire::Stream& stream) override;
  wire::PathFacts GetPathFacts() override { return path; }
  void OnHello(const wire::Hello& peer) override;
  void OnGoAway(wire::ErrorCode code, std::string_view reason) override;
  void OnClosed(wire::ErrorCode code, std::string_view reason) override;

 private:
  void Log(std::string event, wire::Stream* stream);
  absl::Status End(wire::StreamId id, const wire::StatusHeader& status,
                   const wire::OutgoingMessage* message);
  bool Streaming(wire::StreamId id);
  wire::StreamId Start(std::string_view method, const TestMessage* message,
                       MonotonicTime now, const CallArguments& arguments);

  const wire::SessionOptions options_;
  const bool is_client_;
  wire::Hello peer_hello_;
  std::vector<std::string> events_;
  std::string last_text_;
  absl::Status start_status_;
  std::map<wire::StreamId, wire::Stream*> streams_;
  std::map<wire::StreamId, std::string> methods_;
  std::map<wire::StreamId, std::vector<std::string>> messages_;
  std::map<wire::StreamId, TestMessage> last_messages_;
  std::map<wire::StreamId, std::vector<Lent>> lent_;
  const char* last_place_ = nullptr;
  std::map<wire::StreamId, int> ends_;  // OnEnd, OnCancel: at most one each.
  bool closed_told_ = false;
  std::unique_ptr<wire::Session> session_;
};

// The stream of an event: the number behind its first word.
wire::StreamId StreamOf(std::string_view event);
// "\x01ab" for bytes that do not print.
std::string Printable(std::string_view bytes);
std::string_view NameOf(Certainty certainty);

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_RECORDING_HOST_H_
