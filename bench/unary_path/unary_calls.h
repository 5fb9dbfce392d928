#ifndef TERN_BENCH_UNARY_PATH_UNARY_CALLS_H_
#define TERN_BENCH_UNARY_PATH_UNARY_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/wire/session.h"

namespace tern::bench {

// Unary calls through a client's session and a server's, back to back in
// memory, and nothing else: no sockets, no protobuf, hosts that do as little as
// hosts can.
class UnaryCalls {
 public:
  static constexpr size_t kPayloadBytes = 64;
  static constexpr std::string_view kMethod = "bench.v1.EchoService/Echo";

  UnaryCalls();

  // One turn of each side: all requests in one piece, then all responses.
  void Run(size_t calls);
  // Those that have ended, with OK.
  uint64_t ended() const { return client_.ended; }

  // As a connection does that has had no calls for a while.
  void ReleaseMemory();

 private:
  struct Client final : wire::SessionVisitor {
    void OnMessage(wire::Stream&, wire::IncomingMessage& message) override;
    void OnEnd(wire::Stream&, const wire::StatusHeader& status,
               wire::EndCause) override;
    uint64_t started = 0;
    uint64_t ended = 0;
  };
  struct Server final : wire::SessionVisitor {
    void OnMessage(wire::Stream&, wire::IncomingMessage& message) override;
    void OnHalfClose(wire::Stream& stream) override {
      ready.push_back(&stream);
    }
    void OnEnd(wire::Stream&, const wire::StatusHeader&,
               wire::EndCause) override {}
    std::vector<wire::Stream*> ready;
  };

  void StartCalls(size_t calls);
  void AnswerCalls();
  void Carry(wire::Session& from, wire::Session& to);

  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
  Client client_;
  Server server_;
  const wire::SessionOptions client_options_ = {.role = wire::Role::kClient};
  const wire::SessionOptions server_options_ = {.role = wire::Role::kServer};
  wire::Session client_session_;
  wire::Session server_session_;
};

}  // namespace tern::bench

#endif  // TERN_BENCH_UNARY_PATH_UNARY_CALLS_H_
