#ifndef TERN_BENCH_MICRO_ECHO_SESSIONS_H_
#define TERN_BENCH_MICRO_ECHO_SESSIONS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/wire/session.h"

namespace tern::bench {

// A client's session and a server's that answers every call with its request,
// the bytes carried from one to the other in memory: what the protocol costs,
// without sockets, threads, protobuf or a clock. The headers are those that
// //client and //server send.
class EchoSessions {
 public:
  explicit EchoSessions(size_t message_bytes);

  // Makes `count` calls (at most kMostAtOnce), all in one turn of either side.
  // Ends the process if one of them fails.
  void CallAtOnce(int count);

  static constexpr int kMostAtOnce = 256;

  // Of all calls, those that were answered, with OK.
  uint64_t answered() const { return answered_; }

  // As connections do that have had no calls for a while.
  void ReleaseMemory() {
    client_.ReleaseMemory();
    server_.ReleaseMemory();
  }

 private:
  // Counts the answers.
  class Client final : public wire::SessionVisitor {
   public:
    void OnMessage(wire::Stream&, wire::IncomingMessage& message) override {
      received_bytes += message.bytes.size();
    }
    void OnEnd(wire::Stream&, const wire::StatusHeader& status,
               wire::EndCause) override {
      if (status.code == absl::StatusCode::kOk) ++answered;
    }

    int answered = 0;
    size_t received_bytes = 0;
  };
  // Answers.
  class Server final : public wire::SessionVisitor {
   public:
    void OnMessage(wire::Stream&, wire::IncomingMessage& message) override;
    void OnHalfClose(wire::Stream& stream) override;
    void OnEnd(wire::Stream&, const wire::StatusHeader&,
               wire::EndCause) override {}

    wire::Session* session = nullptr;

   private:
    std::string request_;
  };

  void Start();
  void Carry(wire::Session& from, wire::Session& to);

  const std::string request_;
  MonotonicTime now_;
  uint64_t sequence_ = 0;
  uint64_t answered_ = 0;
  Client client_visitor_;
  Server server_visitor_;
  const wire::SessionOptions client_options_;
  const wire::SessionOptions server_options_;
  wire::Session client_;
  wire::Session server_;
};

}  // namespace tern::bench

#endif  // TERN_BENCH_MICRO_ECHO_SESSIONS_H_
