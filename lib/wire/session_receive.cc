// The receiving half of Session: every byte that a peer sends is checked here,
// in the order of proto/PROTOCOL.md, sections 2 to 9.

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/wire/crc32c.h"
#include "tern/lib/wire/session.h"

namespace tern::wire {

// The part of a message that one frame carries, prefixes taken off.
struct Session::Chunk {
  std::string_view bytes;
  bool has_length = false;
  uint32_t length = 0;
  bool has_attachment = false;
  uint32_t attachment_bytes = 0;
  bool compressed = false;
  bool end_message = false;
};

void Session::Receive(std::string_view bytes, MonotonicTime now) {
  const Entry entry(this);
  now_ = now;
  last_receive_ = now;
  ping_sent_at_ = MonotonicTime::InfiniteFuture();
  if (!closed_ && preface_received_ < kPreface.size()) {
    bytes = ReceivePreface(bytes);
  }
  while (!closed_ && !bytes.empty()) {
    if (!partial_.empty()) {
      bytes = ReceiveRest(bytes);
      continue;
    }
    if (bytes.size() >= kFrameHeaderBytes) {
      const FrameHeader header = DecodeFrameHeader(bytes.data());
      if (!CheckHeader(header)) return;
      const size_t size = kFrameHeaderBytes + size_t{header.length};
      if (bytes.size() >= size) {
        ReceiveFrame(header, bytes.substr(0, size));
        bytes.remove_prefix(size);
        continue;
      }
    }
    partial_.assign(bytes);
    partial_since_ = now;
    return;
  }
}

// Returns what follows the preface.
std::string_view Session::ReceivePreface(std::string_view bytes) {
  const size_t size =
      std::min(bytes.size(), kPreface.size() - preface_received_);
  if (bytes.substr(0, size) != kPreface.substr(preface_received_, size)) {
    CloseWith(ErrorCode::kProtocolError,
              absl::StrCat("the peer does not speak Tern: it sent \"",
                           EscapeForLog(bytes, 16), "\""),
              absl::StatusCode::kUnavailable, Farewell::kNothing,
              /*nothing_started=*/true);
    return {};
  }
  preface_received_ += size;
  if (preface_received_ == kPreface.size() && !is_client()) {
    AppendGreeting();
  }
  return bytes.substr(size);
}

// Adds to a frame that had come in part, and returns what follows it.
std::string_view Session::ReceiveRest(std::string_view bytes) {
  const auto take = [&](size_t until) {
    const size_t size = std::min(bytes.size(), until - partial_.size());
    partial_.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    return partial_.size() == until;
  };
  if (partial_.size() < kFrameHeaderBytes) {
    if (!take(kFrameHeaderBytes)) return {};
    if (!CheckHeader(DecodeFrameHeader(partial_.data()))) return {};
  }
  const FrameHeader header = DecodeFrameHeader(partial_.data());
  if (!take(kFrameHeaderBytes + size_t{header.length})) return {};
  const std::string frame = std::exchange(partial_, std::string());
  ReceiveFrame(header, frame);
  return bytes;
}

// What a header alone shows: before anything is held for the frame.
bool Session::CheckHeader(const FrameHeader& header) {
  const auto protocol_error = [this](std::string_view reason) {
    Close(ErrorCode::kProtocolError, reason);
    return false;
  };
  if (header.length > options_.hello.max_frame_bytes) {
    Close(ErrorCode::kFrameTooLarge,
          absl::StrCat("frame of ", header.length,
                       " bytes exceeds the announced limit of ",
                       options_.hello.max_frame_bytes, " bytes"));
    return false;
  }
  if (!has_peer_hello_ &&
      header.type != static_cast<uint8_t>(FrameType::kHello)) {
    return protocol_error("frame before HELLO");
  }
  if (!IsKnownType(header.type)) {
    if ((header.type & kOptionalTypeBit) != 0) return true;
    return protocol_error(absl::StrCat("frame of unknown type ", header.type));
  }
  const char* error =
      CheckFrameHeader(header, /*from_client=*/!is_client(),
                       (options_.hello.features & kFeatureChecksum) != 0);
  if (error != nullptr) return protocol_error(error);
  if (header.stream != 0 &&
      (header.stream % 2 == 0 || header.stream > kMaxStreamId)) {
    return protocol_error(
        absl::StrCat("stream id ", header.stream, " is none of a client's"));
  }
  return true;
}

// `bytes`: all of the frame.
void Session::ReceiveFrame(const FrameHeader& header, std::string_view bytes) {
  erased_.clear();
  if (!IsKnownType(header.type)) {
    Fault("optional frames of unknown type");
    return;
  }
  if ((header.flags & kFlagChecksum) != 0) {
    const size_t size = bytes.size() - kChecksumBytes;
    if (LoadBigEndian32(bytes.data() + size) != Crc32c(bytes.substr(0, size))) {
      return Close(ErrorCode::kDataCorrupt, "a frame's checksum is wrong");
    }
    bytes.remove_suffix(kChecksumBytes);
  }
  const std::string_view body = bytes.substr(kFrameHeaderBytes);
  const Frame frame = {.header = header,
                       .block = body.substr(0, header.header_length),
                       .payload = body.substr(header.header_length)};
  switch (static_cast<FrameType>(header.type)) {
    case FrameType::kHello:
      return ReceiveHello(frame);
    case FrameType::kHeaders:
      if (!ChargeConnectionWindow(frame.payload.size())) return;
      return is_client() ? ReceiveServerHeaders(frame)
                         : ReceiveClientHeaders(frame);
    case FrameType::kData:
      if (!ChargeConnectionWindow(frame.payload.size())) return;
      return ReceiveData(frame);
    case FrameType::kStatus:
      if (!ChargeConnectionWindow(frame.payload.size())) return;
      return ReceiveStatus(frame);
    case FrameType::kCancel:
      return ReceiveCancel(frame);
    case FrameType::kWindow:
      return ReceiveWindow(frame);
    case FrameType::kPing:
      return ReceivePing(frame);
    case FrameType::kGoAway:
      return ReceiveGoAway(frame);
  }
}

void Session::ReceiveHello(const Frame& frame) {
  if (has_peer_hello_) {
    return Close(ErrorCode::kProtocolError, "second HELLO");
  }
  absl::StatusOr<Hello> hello = ParseHello(frame.payload);
  if (!hello.ok()) {
    return Close(ErrorCode::kProtocolError, ToStd(hello.status().message()));
  }
  const uint32_t version =
      std::min(hello->max_version, options_.hello.max_version);
  if (version < hello->min_version || version < options_.hello.min_version) {
    return CloseWith(
        ErrorCode::kVersionMismatch,
        absl::StrCat("this side speaks versions ", options_.hello.min_version,
                     " to ", options_.hello.max_version, ", the peer ",
                     hello->min_version, " to ", hello->max_version),
        absl::StatusCode::kUnimplemented, Farewell::kGoAway,
        /*nothing_started=*/true);
  }
  has_peer_hello_ = true;
  send_window_ +=
      hello->connection_window_bytes - peer_hello_.connection_window_bytes;
  const int64_t more =
      hello->stream_window_bytes - peer_hello_.stream_window_bytes;
  peer_hello_ = *std::move(hello);
  for (auto& [id, stream] : streams_) {
    stream->send_window_ += more;
    if (stream->send_queue_ != nullptr) MakeReady(*stream);
  }
  visitor_->OnHello(peer_hello_);
}

bool Session::ChargeConnectionWindow(size_t bytes) {
  if (bytes == 0) return true;
  if (static_cast<int64_t>(bytes) > receive_window_) {
    Close(ErrorCode::kFlowControlError,
          absl::StrCat("payload of ", bytes, " bytes with ", receive_window_,
                       " left in the connection's window"));
    return false;
  }
  receive_window_ -= static_cast<int64_t>(bytes);
  // Always given back at once: memory is bounded by the streams' windows, the
  // message limit and the host's budget, so one slow stream cannot use up what
  // the others need.
  unreturned_bytes_ += static_cast<int64_t>(bytes);
  if (unreturned_bytes_ >= options_.hello.connection_window_bytes / 2) {
    AppendWindow(0, static_cast<uint32_t>(unreturned_bytes_));
    receive_window_ += unreturned_bytes_;
    unreturned_bytes_ = 0;
  }
  return true;
}

bool Session::ChargeStreamWindow(Stream& stream, size_t bytes) {
  if (static_cast<int64_t>(bytes) > stream.receive_window_ && bytes != 0) {
    Close(ErrorCode::kFlowControlError,
          absl::StrCat("payload of ", bytes, " bytes with ",
                       stream.receive_window_, " left in the window of stream ",
                       stream.id_));
    return false;
  }
  stream.receive_window_ -= static_cast<int64_t>(bytes);
  return true;
}

void Session::ReceiveClientHeaders(const Frame& frame) {
  const StreamId id = frame.header.stream;
  if (id <= highest_id_) {
    Stream* stream = Find(id);
    if (stream == nullptr || stream->wire_ended_) {
      return Close(ErrorCode::kProtocolError,
                   absl::StrCat("HEADERS reuse stream id ", id));
    }
    return FailStream(*stream, absl::StatusCode::kInternal,
                      "second HEADERS on one stream");
  }
  highest_id_ = id;
  rapid_cancels_.OnCall(now_);
  if (drain_ == DrainPhase::kFinal) {
    RefuseCall(id, absl::StatusCode::kUnavailable, "the server is draining");
    if (drain_acknowledged_) Fault("calls after GOAWAY");
    return;
  }
  if (streams_.size() >= options_.hello.max_concurrent_calls) {
    RefuseCall(id, absl::StatusCode::kUnavailable,
               absl::StrCat("the connection has ", streams_.size(),
                            " calls, the server's limit"));
    if (AboveAnnouncedCalls(id)) Fault("calls above the announced number");
    return;
  }
  CallHeader header;
  absl::Status status =
      ParseCallHeader(frame.block, options_.hello.metadata, &header);
  if (!status.ok()) {
    RefuseCall(id, status.code(), ToStd(status.message()));
    Fault("malformed call headers");
    return;
  }
  if (const uint64_t missing =
          header.required_features & ~options_.hello.features;
      missing != 0 || header.codec != 0) {
    return RefuseCall(
        id, absl::StatusCode::kUnimplemented,
        missing != 0
            ? absl::StrCat("the call requires features that this server lacks "
                           "(bits 0x",
                           absl::Hex(missing), "; it has 0x",
                           absl::Hex(options_.hello.features), ")")
            : absl::StrCat("codec ", header.codec,
                           " is unknown; accepted: 0 (protobuf)"));
  }
  if (header.timeout_us == 0) {
    return RefuseCall(id, absl::StatusCode::kDeadlineExceeded,
                      "the deadline had passed when the call arrived");
  }
  const uint64_t most = std::numeric_limits<int64_t>::max();
  Stream* stream = Open(id, now_ + absl::Microseconds(static_cast<int64_t>(
                                       std::min(header.timeout_us, most))));
  visitor_->OnCall(*stream, header, &stream->shape_);
  if (Gone(*stream)) return;  // The host may have refused it.
  ReceivePayload(*stream, frame);
}

// The open stream that a frame is for; nullptr when there is nothing to do,
// which has then been done.
Stream* Session::FindForFrame(const Frame& frame) {
  const StreamId id = frame.header.stream;
  if (id > highest_id_) {
    Close(ErrorCode::kProtocolError,
          absl::StrCat("frame on stream ", id, ", which was never opened"));
    return nullptr;
  }
  Stream* stream = Find(id);
  if (stream == nullptr || stream->wire_ended_) return nullptr;
  return stream;
}

void Session::ReceiveServerHeaders(const Frame& frame) {
  Stream* stream = FindForFrame(frame);
  if (stream == nullptr) return;
  ResponseHeader header;
  absl::Status status =
      ParseResponseHeader(frame.block, options_.hello.metadata, &header);
  if (stream->headers_received_ || stream->messages_received_ > 0 ||
      stream->assembly_ != nullptr) {
    status = absl::InternalError("HEADERS after the response had begun");
  }
  if (!status.ok()) {
    return FailStream(*stream, absl::StatusCode::kInternal,
                      ToStd(status.message()));
  }
  stream->headers_received_ = true;
  visitor_->OnResponseHeader(*stream, header);
  if (Gone(*stream)) return;
  ReceivePayload(*stream, frame);
}

void Session::ReceiveData(const Frame& frame) {
  Stream* stream = FindForFrame(frame);
  if (stream != nullptr) ReceivePayload(*stream, frame);
}

void Session::ReceivePayload(Stream& stream, const Frame& frame) {
  const uint8_t flags = frame.header.flags;
  const bool end_stream = !is_client() && (flags & kFlagEndStream) != 0;
  const bool is_data =
      frame.header.type == static_cast<uint8_t>(FrameType::kData);
  Chunk chunk = {.bytes = frame.payload,
                 .has_length = (flags & kFlagLength) != 0,
                 .has_attachment = (flags & kFlagAttachment) != 0,
                 .compressed = (flags & kFlagCompressed) != 0,
                 .end_message = (flags & kFlagEndMessage) != 0};
  const bool carries_message = chunk.end_message || chunk.has_length ||
                               chunk.has_attachment || chunk.compressed ||
                               !chunk.bytes.empty();
  if (!ChargeStreamWindow(stream, frame.payload.size())) return;
  // The host is done with the call, and its answer waits for windows.
  if (stream.host_done_) return;
  if (stream.receive_ended_) {
    return FailStream(stream, absl::StatusCode::kInternal,
                      "payload after END_STREAM");
  }
  if (end_stream && !chunk.end_message &&
      (carries_message || stream.assembly_ != nullptr)) {
    return FailStream(stream, absl::StatusCode::kInternal,
                      "END_STREAM inside a message");
  }
  if (carries_message) {
    for (const auto& [present, value] :
         {std::pair(chunk.has_length, &chunk.length),
          std::pair(chunk.has_attachment, &chunk.attachment_bytes)}) {
      if (!present) continue;
      if (chunk.bytes.size() < 4) {
        return FailStream(stream, absl::StatusCode::kInternal,
                          "payload shorter than its prefixes");
      }
      *value = LoadBigEndian32(chunk.bytes.data());
      chunk.bytes.remove_prefix(4);
    }
    if (!CheckEmptyChunk(stream, chunk)) return;
    if (stream.assembly_ == nullptr) {
      ReceiveFirstChunk(stream, chunk);
    } else {
      ReceiveLaterChunk(stream, chunk);
    }
  } else if (is_data && !end_stream) {
    if (!CheckEmptyChunk(stream, chunk)) return;
    Fault("short chunks");
  }
  if (end_stream && !Gone(stream)) OnPeerHalfClosed(stream);
}

void Session::ReceiveFirstChunk(Stream& stream, const Chunk& chunk) {
  const auto fail = [&](const char* what) {
    FailStream(stream, absl::StatusCode::kInternal, what);
  };
  if (chunk.compressed) return fail("compressed message without negotiation");
  if (!chunk.has_length && !chunk.end_message) {
    return fail("first chunk of a message without LENGTH");
  }
  const size_t length = chunk.has_length ? chunk.length : chunk.bytes.size();
  const bool streaming = is_client() ? stream.shape_.server_streaming
                                     : stream.shape_.client_streaming;
  if (!streaming && stream.messages_received_ > 0) {
    return FailStream(stream,
                      is_client() ? absl::StatusCode::kInternal
                                  : absl::StatusCode::kUnimplemented,
                      is_client() ? "a second message in a unary response"
                                  : "a second message in a unary request");
  }
  if (length > options_.hello.max_message_bytes) {
    return FailStream(
        stream, absl::StatusCode::kResourceExhausted,
        absl::StrCat(is_client() ? "response of " : "request of ", length,
                     " bytes exceeds the ", is_client() ? "client" : "server",
                     "'s limit of ", options_.hello.max_message_bytes,
                     " bytes"));
  }
  if (chunk.attachment_bytes > length) {
    return fail("attachment longer than its message");
  }
  if (chunk.end_message) {
    if (chunk.bytes.size() != length) return fail("message not as LENGTH says");
    return DeliverMessage(stream, chunk.bytes, chunk.attachment_bytes, nullptr);
  }
  if (chunk.bytes.size() > length) return fail("message not as LENGTH says");
  if (chunk.bytes.size() < kMinChunkBytes && !Fault("short chunks")) return;
  bool accepted = visitor_->OnMessageStart(stream, chunk.length);
  if (Gone(stream)) return;
  accepted = accepted && visitor_->OnMessageChunk(stream, chunk.bytes.size());
  if (Gone(stream)) return;
  if (!accepted) {
    return FailStream(
        stream, absl::StatusCode::kResourceExhausted,
        absl::StrCat("no memory for a message of ", length, " bytes"),
        /*peer_at_fault=*/false);
  }
  StartAssembly(stream, chunk);
}

// Memory grows with what has come, up to LENGTH, and not with what was
// promised.
void Session::AppendToAssembly(Stream::Assembly& assembly,
                               std::string_view bytes) {
  constexpr size_t kFirstBytes = 256 << 10;
  const size_t size = assembly.bytes.size() + bytes.size();
  const size_t capacity = assembly.bytes.capacity();
  if (size > capacity) {
    assembly.bytes.reserve(std::min<size_t>(
        assembly.length, std::max({size, 2 * capacity, kFirstBytes})));
  }
  assembly.bytes.append(bytes);
}

void Session::StartAssembly(Stream& stream, const Chunk& chunk) {
  stream.assembly_ = std::make_unique<Stream::Assembly>();
  stream.assembly_->length = chunk.length;
  stream.assembly_->attachment_bytes = chunk.attachment_bytes;
  AppendToAssembly(*stream.assembly_, chunk.bytes);
  assembling_bytes_ += chunk.length;
  // The whole message is accepted: let it come without a pause.
  const int64_t missing =
      int64_t{chunk.length} - static_cast<int64_t>(chunk.bytes.size());
  const int64_t grant = missing - stream.receive_window_;
  if (grant > 0 && !stream.status_received_) {
    stream.receive_window_ += grant;
    AppendWindow(stream.id_, static_cast<uint32_t>(grant));
  }
}

void Session::ReceiveLaterChunk(Stream& stream, const Chunk& chunk) {
  Stream::Assembly& assembly = *stream.assembly_;
  if (chunk.has_length || chunk.has_attachment || chunk.compressed) {
    return FailStream(stream, absl::StatusCode::kInternal,
                      "a message begins inside another");
  }
  const size_t size = assembly.bytes.size() + chunk.bytes.size();
  if (size > assembly.length || (chunk.end_message && size < assembly.length)) {
    return FailStream(stream, absl::StatusCode::kInternal,
                      "message not as LENGTH says");
  }
  const bool accepted = visitor_->OnMessageChunk(stream, chunk.bytes.size());
  if (Gone(stream)) return;
  if (!accepted) {
    return FailStream(
        stream, absl::StatusCode::kResourceExhausted,
        absl::StrCat("no memory for a message of ", assembly.length, " bytes"),
        /*peer_at_fault=*/false);
  }
  AppendToAssembly(assembly, chunk.bytes);
  if (!chunk.end_message) {
    if (chunk.bytes.size() < kMinChunkBytes) Fault("short chunks");
    return;
  }
  const std::unique_ptr<Stream::Assembly> done = std::move(stream.assembly_);
  assembling_bytes_ -= done->length;
  DeliverMessage(stream, done->bytes, done->attachment_bytes, &done->bytes);
}

// One empty chunk that ends nothing is a waste, two in a row are meant.
bool Session::CheckEmptyChunk(Stream& stream, const Chunk& chunk) {
  const bool empty = chunk.bytes.empty() && !chunk.end_message;
  if (!std::exchange(stream.empty_chunk_, empty) || !empty) return true;
  Close(ErrorCode::kAbuse, "empty chunks");
  return false;
}

void Session::DeliverMessage(Stream& stream, std::string_view bytes,
                             uint32_t attachment_bytes, std::string* storage) {
  ++stream.messages_received_;
  const bool streaming = is_client() ? stream.shape_.server_streaming
                                     : stream.shape_.client_streaming;
  if (streaming) stream.unconsumed_bytes_ += static_cast<int64_t>(bytes.size());
  IncomingMessage message = {
      .bytes = bytes.substr(0, bytes.size() - attachment_bytes),
      .attachment = bytes.substr(bytes.size() - attachment_bytes),
      .storage = storage};
  visitor_->OnMessage(stream, message);
}

void Session::OnPeerHalfClosed(Stream& stream) {
  if (!stream.shape_.client_streaming && stream.messages_received_ == 0) {
    return FailStream(stream, absl::StatusCode::kUnimplemented,
                      "unary request without a message");
  }
  stream.receive_ended_ = true;
  visitor_->OnHalfClose(stream);
}

void Session::ReceiveStatus(const Frame& frame) {
  Stream* stream = FindForFrame(frame);
  if (stream == nullptr) return;
  StatusHeader status;
  absl::Status parsed =
      ParseStatusHeader(frame.block, options_.hello.metadata, &status);
  if (parsed.ok()) {
    stream->status_received_ = true;
    ReceivePayload(*stream, frame);
    if (Gone(*stream)) return;
    // An error may come at any time: what it cuts short is not delivered.
    if (stream->assembly_ != nullptr && status.code == absl::StatusCode::kOk) {
      parsed = absl::InternalError("STATUS inside a message");
    } else if (status.code == absl::StatusCode::kOk &&
               !stream->shape_.server_streaming &&
               stream->messages_received_ == 0) {
      parsed = absl::InternalError("unary response without a message");
    }
  }
  if (parsed.ok()) return EndClientStream(*stream, status, EndCause::kPeer);
  const std::string message(ToStd(parsed.message()));
  StatusHeader fault = {.code = absl::StatusCode::kInternal,
                        .message = message};
  EndClientStream(*stream, fault, EndCause::kFault);
  Fault("malformed statuses");
}

void Session::ReceiveCancel(const Frame& frame) {
  Stream* stream = FindForFrame(frame);
  if (stream == nullptr) return;
  StatusHeader status;
  const bool parsed =
      ParseStatusHeader(frame.block, options_.hello.metadata, &status).ok();
  if (is_client()) {
    if (!parsed) {
      status = {.code = absl::StatusCode::kInternal,
                .message = "malformed status"};
    } else if (status.code == absl::StatusCode::kOk) {
      status.code = absl::StatusCode::kCancelled;
    }
    EndClientStream(*stream, status,
                    parsed ? EndCause::kPeer : EndCause::kFault);
  } else {
    if (now_ < stream->deadline_ &&
        !rapid_cancels_.OnCancel(stream->opened_at_, now_)) {
      return Close(ErrorCode::kAbuse, "calls begun and cancelled too fast");
    }
    TellCancelled(*stream, CancelCause::kPeer);
  }
  if (!parsed) Fault("malformed statuses");
}

void Session::ReceiveWindow(const Frame& frame) {
  if (++window_frames_received_ > 5 + 2 * (1 + 10 * payload_frames_sent_)) {
    return Close(ErrorCode::kAbuse, "too many WINDOW frames");
  }
  const uint32_t increment = LoadBigEndian32(frame.payload.data());
  if (increment == 0) {
    return Close(ErrorCode::kProtocolError, "WINDOW with increment 0");
  }
  if (increment > Hello::kMaxWindowBytes) {
    return Close(ErrorCode::kFlowControlError,
                 "WINDOW with an increment above 2^31-1");
  }
  int64_t* window = &send_window_;
  Stream* stream = nullptr;
  if (frame.header.stream != 0) {
    stream = FindForFrame(frame);
    if (stream == nullptr) return;
    window = &stream->send_window_;
  }
  if (*window + int64_t{increment} > Hello::kMaxWindowBytes) {
    return Close(ErrorCode::kFlowControlError,
                 "WINDOW makes a window larger than 2^31-1");
  }
  *window += increment;
  if (stream != nullptr && stream->send_queue_ != nullptr) MakeReady(*stream);
}

void Session::ReceivePing(const Frame& frame) {
  const uint64_t payload = uint64_t{LoadBigEndian32(frame.payload.data())}
                               << 32 |
                           LoadBigEndian32(frame.payload.data() + 4);
  if ((frame.header.flags & kFlagAck) != 0) {
    if (drain_ != DrainPhase::kNone && payload == kDrainPing) {
      drain_acknowledged_ = true;
      if (drain_ == DrainPhase::kAnnounced) SendFinalGoAway();
    }
    return;
  }
  switch (pings_.OnPing(
      payload, absl::Milliseconds(options_.hello.min_ping_interval_ms), now_)) {
    case PingThrottle::Verdict::kAnswerNow:
      return AppendPing(payload, /*ack=*/true);
    case PingThrottle::Verdict::kAnswerLater:
      return;
    case PingThrottle::Verdict::kAbuse:
      return Close(ErrorCode::kAbuse, "too many PING frames");
  }
}

void Session::ReceiveGoAway(const Frame& frame) {
  const StreamId last =
      std::min(LoadBigEndian32(frame.payload.data()), kMaxStreamId);
  const auto code =
      static_cast<ErrorCode>(LoadBigEndian32(frame.payload.data() + 4));
  const std::string reason = EscapeForLog(frame.payload.substr(8));
  if (is_client()) {
    if (last > goaway_last_ && goaway_received_) {
      return Close(ErrorCode::kProtocolError, "GOAWAY with a higher stream id");
    }
    goaway_received_ = true;
    goaway_last_ = std::min(last, goaway_last_);
    visitor_->OnGoAway(code, reason);
    if (closed_) return;
    if (code == ErrorCode::kNoError) EndExcludedStreams(reason);
  }
  if (code == ErrorCode::kNoError) return MaybeFinishDrain();
  CloseWith(
      code,
      absl::StrCat("the peer ended the connection: ", ToAbsl(ToString(code)),
                   ": ", reason),
      code == ErrorCode::kVersionMismatch ? absl::StatusCode::kUnimplemented
                                          : absl::StatusCode::kUnavailable,
      Farewell::kNothing,
      /*nothing_started=*/code == ErrorCode::kVersionMismatch);
}

bool Session::Fault(const char* what) {
  if (closed_) return false;
  if (faults_.Spend(now_)) return true;
  Close(ErrorCode::kAbuse, absl::StrCat("too many faults, the last: ", what));
  return false;
}

}  // namespace tern::wire
