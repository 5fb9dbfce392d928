#include "bench/unary_path/unary_calls.h"

#include <cstring>

#include "tern/lib/base/log.h"

namespace tern::bench {
namespace {

constexpr int64_t kTurnNanoseconds = 100'000;
constexpr int64_t kTimeoutNanoseconds = 10'000'000'000;
constexpr char kPayload[UnaryCalls::kPayloadBytes] = {'x'};

void WritePayload(char* buffer) {
  std::memcpy(buffer, kPayload, sizeof(kPayload));
}

}  // namespace

void UnaryCalls::Client::OnMessage(wire::Stream&,
                                   wire::IncomingMessage& message) {
  TERN_CHECK(message.bytes.size() == kPayloadBytes);
}

void UnaryCalls::Client::OnEnd(wire::Stream&, const wire::StatusHeader& status,
                               wire::EndCause) {
  TERN_CHECK(status.code == absl::StatusCode::kOk);
  ++ended;
}

void UnaryCalls::Server::OnMessage(wire::Stream&,
                                   wire::IncomingMessage& message) {
  TERN_CHECK(message.bytes.size() == kPayloadBytes);
}

UnaryCalls::UnaryCalls()
    : client_session_(&client_options_, &client_, now_),
      server_session_(&server_options_, &server_, now_) {}

void UnaryCalls::Run(size_t calls) {
  now_ = now_.After(kTurnNanoseconds);
  StartCalls(calls);
  Carry(client_session_, server_session_);
  AnswerCalls();
  Carry(server_session_, client_session_);
}

void UnaryCalls::Carry(wire::Session& from, wire::Session& to) {
  size_t size = 0;
  for (const std::string_view piece : from.Output()) {
    to.Receive(piece, now_);
    size += piece.size();
  }
  from.Sent(size);
}

// As client/client_connection.cc does it.
void UnaryCalls::StartCalls(size_t calls) {
  const wire::OutgoingMessage request = {.size = kPayloadBytes,
                                         .write = WritePayload};
  for (size_t i = 0; i < calls; ++i) {
    wire::CallHeader header = {.method = kMethod};
    header.request_id = {.client = 0x1122334455667788,
                         .sequence = ++client_.started};
    wire::Stream* stream = nullptr;
    TERN_CHECK(client_session_
                   .Start(header, {}, now_.After(kTimeoutNanoseconds),
                          /*user=*/nullptr, &request, /*half_close=*/true, now_,
                          &stream)
                   .ok());
  }
}

// As server/server_connection.cc does it.
void UnaryCalls::AnswerCalls() {
  const wire::OutgoingMessage response = {.size = kPayloadBytes,
                                          .write = WritePayload};
  for (wire::Stream* stream : server_.ready) {
    wire::StatusHeader status;
    status.queue_us = 12;
    status.handler_us = 345;
    TERN_CHECK(server_session_.Finish(stream, status, &response).ok());
  }
  server_.ready.clear();
}

void UnaryCalls::ReleaseMemory() {
  client_session_.ReleaseMemory();
  server_session_.ReleaseMemory();
}

}  // namespace tern::bench
