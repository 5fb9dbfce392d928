#include "bench/micro/echo_sessions.h"

#include <cstring>
#include <string_view>

#include "tern/lib/base/log.h"

namespace tern::bench {
namespace {

constexpr absl::Duration kTurn = absl::Microseconds(1);
constexpr absl::Duration kTimeout = absl::Seconds(30);

wire::SessionOptions Options(wire::Role role) {
  wire::SessionOptions options;
  options.role = role;
  // As ServerOptions and ChannelOptions have them.
  options.hello.max_frame_bytes = 64 << 10;
  options.hello.stream_window_bytes = 1 << 20;
  options.hello.connection_window_bytes = 4 << 20;
  options.hello.max_concurrent_calls = 1024;
  return options;
}

}  // namespace

void EchoSessions::Server::OnMessage(wire::Stream&,
                                     wire::IncomingMessage& message) {
  request_.assign(message.bytes);
}

void EchoSessions::Server::OnHalfClose(wire::Stream& stream) {
  const auto write = [this](char* buffer) {
    std::memcpy(buffer, request_.data(), request_.size());
  };
  const wire::OutgoingMessage reply = {.size = request_.size(), .write = write};
  wire::StatusHeader status;
  status.queue_us = 5;
  status.handler_us = 1;
  TERN_CHECK(session->Finish(&stream, status, &reply).ok());
}

EchoSessions::EchoSessions(size_t message_bytes)
    : request_(message_bytes, 'x'),
      now_(MonotonicTime::FromNanoseconds(1'000'000'000)),
      client_options_(Options(wire::Role::kClient)),
      server_options_(Options(wire::Role::kServer)),
      client_(&client_options_, &client_visitor_, now_),
      server_(&server_options_, &server_visitor_, now_) {
  server_visitor_.session = &server_;
  Carry(client_, server_);  // HELLO, both ways.
  Carry(server_, client_);
  Carry(client_, server_);
}

void EchoSessions::CallAtOnce(int count) {
  now_ = now_ + kTurn;
  client_visitor_.answered = 0;
  client_visitor_.received_bytes = 0;
  for (int i = 0; i < count; ++i) Start();
  // Messages that are larger than a window take several turns.
  while (client_visitor_.answered < count) {
    TERN_CHECK(!client_.Output().empty() || !server_.Output().empty());
    Carry(client_, server_);
    Carry(server_, client_);
  }
  answered_ += static_cast<uint64_t>(client_visitor_.answered);
  TERN_CHECK(client_visitor_.received_bytes ==
             request_.size() * static_cast<size_t>(count));
}

void EchoSessions::Start() {
  wire::CallHeader header = {.method = "tern.bench.Echo/Call"};
  header.request_id = {
      .client = 0x0123456789abcdef, .sequence = ++sequence_, .attempt = 0};
  const auto write = [this](char* buffer) {
    std::memcpy(buffer, request_.data(), request_.size());
  };
  const wire::OutgoingMessage message = {.size = request_.size(),
                                         .write = write};
  wire::Stream* stream = nullptr;
  TERN_CHECK(client_
                 .Start(header, {}, now_ + kTimeout, /*user=*/nullptr, &message,
                        /*half_close=*/true, now_, &stream)
                 .ok());
}

void EchoSessions::Carry(wire::Session& from, wire::Session& to) {
  for (;;) {
    size_t size = 0;
    for (const std::string_view piece : from.Output()) {
      to.Receive(piece, now_);
      size += piece.size();
    }
    if (size == 0) return;
    from.Sent(size);
  }
}

}  // namespace tern::bench
