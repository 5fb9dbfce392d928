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
  uint8_t flags = 0;  // The frame's.
  uint32_t payload_bytes = 0;
  uint32_t length = 0;
  uint32_t attachment_bytes = 0;

  bool has_length() const { return (flags & kFlagLength) != 0; }
  bool has_attachment() const { return (flags & kFlagAttachment) != 0; }
  bool compressed() const { return (flags & kFlagCompressed) != 0; }
  bool end_message() const { return (flags & kFlagEndMessage) != 0; }
};

// --- Small steps of every frame, inline --------------------------------------

// What a header alone shows: before anything is held for the frame.
inline bool Session::CheckHeader(const FrameHeader& header) {
  if (header.length > options_.hello.max_frame_bytes) {
    return RefuseLength(header.length);
  }
  if (!has_peer_hello_ &&
      header.type != static_cast<uint8_t>(FrameType::kHello)) {
    return RefuseFrame("frame before HELLO");
  }
  if (!IsKnownType(header.type)) {
    return (header.type & kOptionalTypeBit) != 0 || RefuseType(header.type);
  }
  const char* error =
      CheckFrameHeader(header, /*from_client=*/!is_client(),
                       (options_.hello.features & kFeatureChecksum) != 0);
  if (error != nullptr) return RefuseFrame(error);
  if (header.stream != 0 &&
      (header.stream % 2 == 0 || header.stream > kMaxStreamId)) {
    return RefuseStreamId(header.stream);
  }
  return true;
}

inline bool Session::ChargeConnectionWindow(size_t bytes) {
  const auto size = static_cast<int64_t>(bytes);
  if (size > receive_window_ && size != 0) {
    return RefusePayload(bytes, receive_window_, /*stream=*/0);
  }
  receive_window_ -= size;
  // Always given back at once: memory is bounded by the streams' windows, the
  // message limit and the host's budget, so one slow stream cannot use up what
  // the others need.
  unreturned_bytes_ += size;
  if (size != 0 &&
      unreturned_bytes_ >= options_.hello.connection_window_bytes / 2) {
    AppendWindow(0, static_cast<uint32_t>(unreturned_bytes_));
    receive_window_ += unreturned_bytes_;
    unreturned_bytes_ = 0;
  }
  return true;
}

inline bool Session::ChargeStreamWindow(Stream& stream, size_t bytes) {
  const auto size = static_cast<int64_t>(bytes);
  if (size > stream.receive_window_ && size != 0) {
    return RefusePayload(bytes, stream.receive_window_, stream.id_);
  }
  stream.receive_window_ -= size;
  return true;
}

// Whether a message of `length` bytes may begin; else the stream has been
// ended.
inline bool Session::MayBegin(Stream& stream, size_t length) {
  if (stream.messages_received_ > 0 && !ReceivesStream(stream)) {
    FailSecondMessage(stream);
    return false;
  }
  if (length > options_.hello.max_message_bytes) {
    FailLongMessage(stream, length);
    return false;
  }
  return true;
}

inline void Session::DeliverMessage(Stream& stream, std::string_view bytes,
                                    uint32_t attachment_bytes,
                                    uint32_t compression, ByteBuffer* storage) {
  ++stream.messages_received_;
  if (ReceivesStream(stream)) {
    stream.unconsumed_bytes_ += static_cast<int64_t>(bytes.size());
  }
  IncomingMessage message = {
      .bytes = bytes.substr(0, bytes.size() - attachment_bytes),
      .attachment = bytes.substr(bytes.size() - attachment_bytes),
      .compression = compression,
      .storage = storage};
  visitor_->OnMessage(stream, message);
}

// `bytes`: all of the frame.
inline void Session::ReceiveFrame(const FrameHeader& header,
                                  std::string_view bytes) {
  streams_.Reclaim();
  ahead_ = 0;
  if (!IsKnownType(header.type)) {
    Fault("optional frames of unknown type");
    return;
  }
  if ((header.flags & kFlagChecksum) != 0) {
    bytes = CheckChecksum(bytes);
    if (closed_) return;
  }
  bytes.remove_prefix(kFrameHeaderBytes);
  ReceiveBody(header, bytes);
}

// `body`: header block and payload.
inline void Session::ReceiveBody(const FrameHeader& header,
                                 std::string_view body) {
  Frame frame = {.header = header,
                 .block = {body.data(), header.header_length},
                 .payload = body};
  frame.payload.remove_prefix(header.header_length);
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

// --- Frames ------------------------------------------------------------------

void Session::NoteReceived(MonotonicTime now) {
  now_ = now;
  last_receive_ = now;
  ping_sent_at_ = MonotonicTime::InfiniteFuture();
}

void Session::Receive(std::string_view bytes, MonotonicTime now) {
  const Entry entry(this);
  NoteReceived(now);
  if (!closed_ && preface_received_ < kPreface.size()) {
    bytes = ReceivePreface(bytes);
  }
  ReceiveBytes(bytes);
}

void Session::ReceiveBytes(std::string_view bytes) {
  while (!closed_ && !bytes.empty()) {
    if (in_frame()) {
      bytes =
          direct_ != nullptr ? ReceiveDirectRest(bytes) : ReceiveRest(bytes);
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
      frame_since_ = now_;
      if (BeginDirect(header)) {
        bytes.remove_prefix(kFrameHeaderBytes);
        continue;
      }
      ReservePartial(header, bytes.size());
    } else {
      frame_since_ = now_;
      partial_.Reserve(kFrameHeaderBytes);
    }
    partial_.Append(bytes);
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
  preface_received_ = static_cast<uint8_t>(preface_received_ + size);
  if (preface_received_ == kPreface.size() && !is_client()) {
    AppendGreeting();
  }
  return bytes.substr(size);
}

// Adds to a frame that had come in part, and returns what follows it.
std::string_view Session::ReceiveRest(std::string_view bytes) {
  const auto take = [&](size_t until) {
    const size_t size = std::min(bytes.size(), until - partial_.size());
    partial_.Append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    return partial_.size() == until;
  };
  if (partial_.size() < kFrameHeaderBytes) {
    if (!take(kFrameHeaderBytes)) return {};
    const FrameHeader header = DecodeFrameHeader(partial_.view().data());
    if (!CheckHeader(header)) return {};
    if (BeginDirect(header)) {
      partial_.Reset();
      return bytes;
    }
  }
  const FrameHeader header = DecodeFrameHeader(partial_.view().data());
  ReservePartial(header, bytes.size());
  if (take(kFrameHeaderBytes + size_t{header.length})) ReceivePartialFrame();
  return bytes;
}

// Makes room for `more` bytes of the frame.
void Session::ReservePartial(const FrameHeader& header, size_t more) {
  const size_t size = partial_.size() + more;
  if (size <= partial_.capacity()) return;
  partial_.Reserve(std::min(kFrameHeaderBytes + size_t{header.length},
                            std::max(size, 2 * partial_.capacity())));
}

void Session::ReceivePartialFrame() {
  const ByteBuffer frame = std::move(partial_);
  ReceiveFrame(DecodeFrameHeader(frame.view().data()), frame.view());
}

// --- Long frames -------------------------------------------------------------

// When the frame that has begun is a long chunk of a message whose first has
// come, its payload is put where it will be needed. It is not looked at before
// it is complete all the same.
bool Session::BeginDirect(const FrameHeader& header) {
  if (header.type != static_cast<uint8_t>(FrameType::kData) ||
      header.length < kMinDirectBytes ||
      (header.flags & (kFlagChecksum | kFlagLength | kFlagAttachment)) != 0) {
    return false;
  }
  Stream* const stream = streams_.Find(header.stream);
  if (stream == nullptr || stream->assembly_ == nullptr ||
      header.length >
          stream->assembly_->length - stream->assembly_->bytes.size()) {
    return false;
  }
  direct_ = stream;
  direct_header_ = header;
  stream->assembly_->frame_bytes = header.length;
  return true;
}

std::string_view Session::ReceiveDirectRest(std::string_view bytes) {
  Stream::Assembly& assembly = *direct_->assembly_;
  const size_t size = std::min<size_t>(
      bytes.size(), direct_header_.length - assembly.more_bytes);
  ReserveAssembly(assembly, size);
  std::memcpy(assembly.bytes.end() + assembly.more_bytes, bytes.data(), size);
  assembly.more_bytes += static_cast<uint32_t>(size);
  if (assembly.more_bytes == direct_header_.length) ReceiveDirectFrame();
  return bytes.substr(size);
}

void Session::ReceiveDirectFrame() {
  Stream::Assembly& assembly = *std::exchange(direct_, nullptr)->assembly_;
  assembly.more_bytes = 0;
  streams_.Reclaim();
  ahead_ = 0;
  const FrameHeader header = direct_header_;
  ReceiveBody(header, {assembly.bytes.end(), header.length});
}

// The message is not wanted any more, but the frame goes on.
void Session::LeaveDirect() {
  Stream::Assembly& assembly = *std::exchange(direct_, nullptr)->assembly_;
  ReservePartial(direct_header_, kFrameHeaderBytes + assembly.more_bytes);
  EncodeFrameHeader(direct_header_, partial_.end());
  partial_.Extend(kFrameHeaderBytes);
  partial_.Append({assembly.bytes.end(), assembly.more_bytes});
}

InputPieces Session::ReceiveInto() {
  if (direct_ != nullptr) return DirectPieces(*direct_->assembly_);
  if (partial_.empty()) {
    const Stream* const stream = ahead_ == 0 ? nullptr : streams_.Find(ahead_);
    if (stream == nullptr || stream->assembly_ == nullptr ||
        !stream->assembly_->read_ahead) {
      return {};
    }
    return DirectPieces(*stream->assembly_);
  }
  if (partial_.size() < kFrameHeaderBytes) return {};
  const FrameHeader header = DecodeFrameHeader(partial_.view().data());
  const size_t rest =
      kFrameHeaderBytes + size_t{header.length} - partial_.size();
  if (rest < kMinDirectBytes) return {};
  ReservePartial(header, kMinDirectBytes);
  InputPieces pieces;
  pieces.Add(
      {partial_.end(), std::min(rest, partial_.capacity() - partial_.size())});
  return pieces;
}

size_t Session::AwaitedOfMessage() const {
  const Stream* const stream =
      direct_ != nullptr ? direct_ : streams_.Find(ahead_);
  if (stream == nullptr || stream->assembly_ == nullptr ||
      streams_.size() != 1 || !partial_.empty()) {
    return 0;
  }
  const Stream::Assembly& assembly = *stream->assembly_;
  const int64_t missing =
      int64_t{assembly.length} - static_cast<int64_t>(assembly.bytes.size());
  // A frame is taken from the windows when it is complete.
  return static_cast<size_t>(std::max<int64_t>(
      0, std::min({missing, stream->receive_window_, receive_window_}) -
             assembly.more_bytes));
}

// The rest of the frame, if it has begun; and, in the hope that its message
// goes on with frames of the same size and without others between, what comes
// after it, the headers apart from the payload. Where that is wrong, Regather
// puts it right.
InputPieces Session::DirectPieces(Stream::Assembly& assembly) {
  const size_t held = assembly.bytes.size() + assembly.more_bytes;
  size_t missing = assembly.length - held;
  if (missing < kMinDirectBytes) return {};
  const size_t frame_bytes = std::max(assembly.frame_bytes, kMinDirectBytes);
  const size_t rest =
      direct_ != nullptr ? direct_header_.length - assembly.more_bytes : 0;
  ReserveAssembly(assembly, std::min<size_t>({missing, kMaxChunkFrameBytes,
                                              rest != 0 ? rest : frame_bytes}));
  char* place = assembly.bytes.end() + assembly.more_bytes;
  size_t room = assembly.bytes.capacity() - held;
  InputPieces pieces;
  // The rest, and headers with payload behind all of them but the last.
  static_assert(2 * Stream::Assembly::kMaxAhead <= InputPieces::kMax);
  const auto add_payload = [&](size_t wanted) {
    const size_t size = std::min(room, wanted);
    pieces.Add({place, size});
    place += size;
    room -= size;
    missing -= size;
    return size == wanted && missing != 0;
  };
  bool more = rest == 0 || add_payload(rest);
  const size_t most = assembly.read_ahead ? Stream::Assembly::kMaxAhead : 1;
  for (size_t i = 0; more && i < most; ++i) {
    pieces.Add(assembly.next_headers[i]);
    more = i + 1 < most && room != 0 &&
           add_payload(std::min(missing, frame_bytes));
  }
  return pieces;
}

void Session::ReceivedInto(size_t size, MonotonicTime now) {
  const Entry entry(this);
  NoteReceived(now);
  if (partial_.empty()) return ReceivedDirect(size);
  partial_.Extend(size);
  const FrameHeader header = DecodeFrameHeader(partial_.view().data());
  if (partial_.size() == kFrameHeaderBytes + size_t{header.length}) {
    ReceivePartialFrame();
  }
}

// `size` bytes lie where DirectPieces said.
void Session::ReceivedDirect(size_t size) {
  const bool in_frame = direct_ != nullptr;
  const StreamId id = in_frame ? direct_->id_ : ahead_;
  // A callback may end the stream; what has been read is needed all the same.
  const std::shared_ptr<Stream::Assembly> assembly =
      streams_.Find(id)->assembly_;
  const size_t frame_bytes = std::max(assembly->frame_bytes, kMinDirectBytes);
  size_t frame_end =
      assembly->bytes.size() + (in_frame ? direct_header_.length : 0);
  for (size_t i = 0;; ++i) {
    if (direct_ != nullptr) {
      const size_t rest =
          std::min<size_t>(size, direct_header_.length - assembly->more_bytes);
      assembly->more_bytes += static_cast<uint32_t>(rest);
      size -= rest;
      if (assembly->more_bytes != direct_header_.length) return;
      ReceiveDirectFrame();
    }
    if (size == 0 || closed_) return;

    char* const bytes = assembly->next_headers[i];
    if (size < kFrameHeaderBytes) return ReceiveBytes({bytes, size});
    const FrameHeader header = DecodeFrameHeader(bytes);
    const size_t expected = std::min(frame_bytes, assembly->length - frame_end);
    assembly->read_ahead =
        header.length == expected && header.stream == id &&
        header.type == static_cast<uint8_t>(FrameType::kData);
    if (assembly->read_ahead && !CheckHeader(header)) return;
    if (!assembly->read_ahead || !BeginDirect(header)) {
      return ReceiveBytes(
          Regather(*assembly, i, frame_end, frame_bytes, size).view());
    }
    frame_since_ = now_;
    size -= kFrameHeaderBytes;
    frame_end += expected;
  }
}

// The last `size` bytes of those, in one piece: from header `i` on, the payload
// behind it being at `offset` of the message.
ByteBuffer Session::Regather(const Stream::Assembly& assembly, size_t i,
                             size_t offset, size_t frame_bytes, size_t size) {
  ByteBuffer bytes;
  bytes.Reserve(size);
  const auto take = [&](const char* from, size_t most) {
    bytes.Append({from, std::min(most, size - bytes.size())});
  };
  for (; bytes.size() < size; ++i, offset += frame_bytes) {
    take(assembly.next_headers[i], kFrameHeaderBytes);
    take(assembly.bytes.view().data() + offset, frame_bytes);
  }
  return bytes;
}

// --- Headers -----------------------------------------------------------------

// Functions of their own, as are others below that make a text: else it costs
// its caller some twenty instructions even when there is nothing to say.
bool Session::RefuseFrame(std::string_view why) {
  Close(ErrorCode::kProtocolError, why);
  return false;
}

bool Session::RefuseLength(uint32_t length) {
  Close(ErrorCode::kFrameTooLarge,
        absl::StrCat("frame of ", length,
                     " bytes exceeds the announced limit of ",
                     options_.hello.max_frame_bytes, " bytes"));
  return false;
}

bool Session::RefuseType(uint8_t type) {
  return RefuseFrame(absl::StrCat("frame of unknown type ", type));
}

bool Session::RefuseStreamId(StreamId id) {
  return RefuseFrame(absl::StrCat("stream id ", id, " is none of a client's"));
}

// Returns what stands before the checksum.
std::string_view Session::CheckChecksum(std::string_view bytes) {
  const size_t size = bytes.size() - kChecksumBytes;
  if (LoadBigEndian32(bytes.data() + size) != Crc32c(bytes.substr(0, size))) {
    Close(ErrorCode::kDataCorrupt, "a frame's checksum is wrong");
  }
  return bytes.substr(0, size);
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
      hello->connection_window_bytes - Hello::kMinConnectionWindowBytes;
  const int64_t more = hello->stream_window_bytes - peer_.stream_window_bytes;
  NotePeerLimits(*hello);
  for (StreamId id : streams_.Ids()) {
    Stream& stream = *streams_.Find(id);
    stream.send_window_ += more;
    if (stream.send_queue_ != nullptr) MakeReady(stream);
  }
  // Before OnHello, which may begin a drain itself.
  if (draining()) AnnounceDrain();
  visitor_->OnHello(*hello);
}

bool Session::RefusePayload(size_t bytes, int64_t left, StreamId stream) {
  Close(ErrorCode::kFlowControlError,
        stream == 0 ? absl::StrCat("payload of ", bytes, " bytes with ", left,
                                   " left in the connection's window")
                    : absl::StrCat("payload of ", bytes, " bytes with ", left,
                                   " left in the window of stream ", stream));
  return false;
}

void Session::ReceiveClientHeaders(const Frame& frame) {
  const StreamId id = frame.header.stream;
  if (id <= highest_id_) return ReceiveSecondHeaders(id);
  highest_id_ = id;
  rapid_cancels_.OnCall(now_);
  if (draining_finally() ||
      streams_.size() >= options_.hello.max_concurrent_calls) {
    return RefuseExcessCall(id);
  }
  CallHeader header;
  absl::Status status =
      ParseCallHeader(frame.block, options_.hello.metadata, &header);
  if (!status.ok()) {
    RefuseCall(id, status.code(), ToStd(status.message()));
    Fault("malformed call headers");
    return;
  }
  if ((header.required_features & ~options_.hello.features) != 0 ||
      header.codec != 0) {
    return RefuseUnsupportedCall(id, header);
  }
  if (header.timeout_us == 0) {
    return RefuseCall(
        id, absl::StatusCode::kDeadlineExceeded,
        "deadline exceeded before the call arrived at the server");
  }
  constexpr uint64_t kMaxMicroseconds =
      std::numeric_limits<int64_t>::max() / 1000;
  const MonotonicTime deadline =
      header.timeout_us > kMaxMicroseconds
          ? MonotonicTime::InfiniteFuture()
          : now_.After(static_cast<int64_t>(header.timeout_us) * 1000);
  Stream* stream = Open(id, deadline);
  if (header.compression != 0) {
    stream->receive_compression_ = ReceiveCompression(header.compression);
  }
  stream->priority_ = static_cast<uint8_t>(header.priority);
  visitor_->OnCall(*stream, header, &stream->shape_);
  if (Gone(*stream)) return;  // The host may have refused it.
  ReceivePayload(*stream, frame);
}

void Session::ReceiveSecondHeaders(StreamId id) {
  Stream* stream = streams_.Find(id);
  if (stream == nullptr || stream->wire_ended_) {
    return Close(ErrorCode::kProtocolError,
                 absl::StrCat("HEADERS reuse stream id ", id));
  }
  FailStream(*stream, absl::StatusCode::kInternal,
             "second HEADERS on one stream");
}

// A call that the client should not have begun, or could not know that.
void Session::RefuseExcessCall(StreamId id) {
  if (draining_finally()) {
    RefuseCall(id, absl::StatusCode::kUnavailable, "the server is draining");
    if (drain_->acknowledged) Fault("calls after GOAWAY");
    return;
  }
  const std::string why = absl::StrCat("the connection has ", streams_.size(),
                                       " calls, the server's limit");
  StatusHeader status = {.code = absl::StatusCode::kUnavailable,
                         .message = why,
                         .certainty = Certainty::kNotStarted};
  visitor_->OnExcessCall(&status);
  AppendStatusFrame(id, FrameType::kStatus, status);
  if (AboveAnnouncedCalls(id)) Fault("calls above the announced number");
}

void Session::RefuseUnsupportedCall(StreamId id, const CallHeader& header) {
  const uint64_t missing = header.required_features & ~options_.hello.features;
  RefuseCall(
      id, absl::StatusCode::kUnimplemented,
      missing != 0
          ? absl::StrCat("the call requires features that this server lacks "
                         "(bits 0x",
                         absl::Hex(missing), "; it has 0x",
                         absl::Hex(options_.hello.features), ")")
          : absl::StrCat("codec ", header.codec,
                         " is unknown; accepted: 0 (protobuf)"));
}

// The open stream that a frame is for; nullptr when there is nothing to do,
// which has then been done.
Stream* Session::FindForFrame(const Frame& frame) {
  const StreamId id = frame.header.stream;
  if (id > highest_id_) {
    RefuseFrame(
        absl::StrCat("frame on stream ", id, ", which was never opened"));
    return nullptr;
  }
  Stream* stream = streams_.Find(id);
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
  stream->receive_compression_ = ReceiveCompression(header.compression);
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
  constexpr uint8_t kMessageFlags =
      kFlagEndMessage | kFlagLength | kFlagAttachment | kFlagCompressed;
  const bool carries_message =
      (flags & kMessageFlags) != 0 || !frame.payload.empty();
  const bool end_stream = !is_client() && (flags & kFlagEndStream) != 0;
  if (!ChargeStreamWindow(stream, frame.payload.size())) return;
  // The host is done with the call, and its answer waits for windows.
  if (stream.host_done_) return;
  if (stream.receive_ended_) {
    return FailStream(stream, absl::StatusCode::kInternal,
                      "payload after END_STREAM");
  }
  if (end_stream && (flags & kFlagEndMessage) == 0 &&
      (carries_message || stream.assembly_ != nullptr)) {
    return FailStream(stream, absl::StatusCode::kInternal,
                      "END_STREAM inside a message");
  }
  if ((flags & kMessageFlags) == kFlagEndMessage &&
      stream.assembly_ == nullptr) {
    // Nearly all messages: whole, and without prefixes.
    stream.empty_chunk_ = false;
    if (MayBegin(stream, frame.payload.size())) {
      DeliverMessage(stream, frame.payload, 0, 0, nullptr);
    }
  } else if (carries_message) {
    if (!ReceiveChunk(stream, {.bytes = frame.payload,
                               .flags = flags,
                               .payload_bytes = static_cast<uint32_t>(
                                   frame.payload.size())})) {
      return;
    }
  } else if (!end_stream &&
             frame.header.type == static_cast<uint8_t>(FrameType::kData)) {
    if (!CheckEmptyChunk(stream, /*empty=*/true)) return;
    Fault("short chunks");
  }
  if (end_stream && !Gone(stream)) OnPeerHalfClosed(stream);
}

// `chunk`: with its prefixes. False when it was not even looked at, for a fault
// that has been dealt with.
bool Session::ReceiveChunk(Stream& stream, Chunk chunk) {
  for (const auto& [present, value] :
       {std::pair(chunk.has_length(), &chunk.length),
        std::pair(chunk.has_attachment(), &chunk.attachment_bytes)}) {
    if (!present) continue;
    if (chunk.bytes.size() < 4) {
      FailStream(stream, absl::StatusCode::kInternal,
                 "payload shorter than its prefixes");
      return false;
    }
    *value = LoadBigEndian32(chunk.bytes.data());
    chunk.bytes.remove_prefix(4);
  }
  if (!CheckEmptyChunk(stream, chunk.bytes.empty() && !chunk.end_message())) {
    return false;
  }
  if (stream.assembly_ == nullptr) {
    ReceiveFirstChunk(stream, chunk);
  } else {
    ReceiveLaterChunk(stream, chunk);
  }
  return true;
}

void Session::ReceiveFirstChunk(Stream& stream, const Chunk& chunk) {
  const auto fail = [&](const char* what) {
    FailStream(stream, absl::StatusCode::kInternal, what);
  };
  const uint8_t compression =
      chunk.compressed() ? stream.receive_compression_ : 0;
  if (chunk.compressed() && compression == 0) {
    return fail("compressed message without negotiation");
  }
  if (!chunk.has_length() && !chunk.end_message()) {
    return fail("first chunk of a message without LENGTH");
  }
  const size_t length = chunk.has_length() ? chunk.length : chunk.bytes.size();
  if (!MayBegin(stream, length)) return;
  if (chunk.attachment_bytes > length) {
    return fail("attachment longer than its message");
  }
  if (chunk.end_message()) {
    if (chunk.bytes.size() != length) return fail("message not as LENGTH says");
    return DeliverMessage(stream, chunk.bytes, chunk.attachment_bytes,
                          compression, nullptr);
  }
  if (chunk.bytes.size() > length) return fail("message not as LENGTH says");
  if (chunk.bytes.size() < kMinChunkBytes && !Fault("short chunks")) return;
  bool accepted = visitor_->OnMessageStart(stream, chunk.length);
  if (Gone(stream)) return;
  accepted = accepted && visitor_->OnMessageChunk(stream, chunk.bytes.size());
  if (Gone(stream)) return;
  if (!accepted) return FailWithoutMemory(stream, length);
  StartAssembly(stream, chunk);
}

void Session::FailSecondMessage(Stream& stream) {
  FailStream(stream,
             is_client() ? absl::StatusCode::kInternal
                         : absl::StatusCode::kUnimplemented,
             is_client() ? "a second message in a unary response"
                         : "a second message in a unary request");
}

void Session::FailLongMessage(Stream& stream, size_t length) {
  FailStream(stream, absl::StatusCode::kResourceExhausted,
             TooLong(/*request=*/!is_client(), absl::StrCat(length, " bytes"),
                     options_.hello.max_message_bytes));
}

void Session::FailWithoutMemory(Stream& stream, size_t length) {
  FailStream(stream, absl::StatusCode::kResourceExhausted,
             absl::StrCat("no memory for a message of ", length, " bytes"),
             /*peer_at_fault=*/false);
}

// Makes room for `more` bytes. Memory grows with what has come, up to LENGTH,
// and not with what was promised.
void Session::ReserveAssembly(Stream::Assembly& assembly, size_t more) {
  constexpr size_t kFirstBytes = 256 << 10;
  const size_t size = assembly.bytes.size() + assembly.more_bytes + more;
  const size_t capacity = assembly.bytes.capacity();
  if (size <= capacity) return;
  assembly.bytes.Reserve(
      std::min<size_t>(assembly.length + kFrameHeaderBytes,
                       std::max({size, 2 * capacity, kFirstBytes})),
      /*likely=*/assembly.length + kFrameHeaderBytes);
}

void Session::AppendToAssembly(Stream::Assembly& assembly,
                               std::string_view bytes) {
  const size_t room = assembly.bytes.capacity() - assembly.bytes.size();
  if (bytes.data() == assembly.bytes.end() && bytes.size() <= room) {
    return assembly.bytes.Extend(bytes.size());  // See BeginDirect.
  }
  ReserveAssembly(assembly, bytes.size());
  assembly.bytes.Append(bytes);
}

void Session::StartAssembly(Stream& stream, const Chunk& chunk) {
  stream.assembly_ = std::make_shared<Stream::Assembly>();
  stream.assembly_->length = chunk.length;
  stream.assembly_->attachment_bytes = chunk.attachment_bytes;
  stream.assembly_->compressed = chunk.compressed();
  stream.assembly_->frame_bytes = chunk.payload_bytes;
  ahead_ = stream.id_;
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
  if (chunk.has_length() || chunk.has_attachment() || chunk.compressed()) {
    return FailStream(stream, absl::StatusCode::kInternal,
                      "a message begins inside another");
  }
  const size_t size = assembly.bytes.size() + chunk.bytes.size();
  if (size > assembly.length ||
      (chunk.end_message() && size < assembly.length)) {
    return FailStream(stream, absl::StatusCode::kInternal,
                      "message not as LENGTH says");
  }
  const bool accepted = visitor_->OnMessageChunk(stream, chunk.bytes.size());
  if (Gone(stream)) return;
  if (!accepted) return FailWithoutMemory(stream, assembly.length);
  AppendToAssembly(assembly, chunk.bytes);
  if (!chunk.end_message()) {
    assembly.frame_bytes = chunk.payload_bytes;
    ahead_ = stream.id_;
    if (chunk.bytes.size() < kMinChunkBytes) Fault("short chunks");
    return;
  }
  const std::shared_ptr<Stream::Assembly> done = std::move(stream.assembly_);
  assembling_bytes_ -= done->length;
  DeliverMessage(stream, done->bytes.view(), done->attachment_bytes,
                 done->compressed ? stream.receive_compression_ : 0,
                 &done->bytes);
}

// One empty chunk that ends nothing is a waste, two in a row are meant.
bool Session::CheckEmptyChunk(Stream& stream, bool empty) {
  if (!std::exchange(stream.empty_chunk_, empty) || !empty) return true;
  Close(ErrorCode::kAbuse, "empty chunks");
  return false;
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
  if (!parsed.ok()) return FailStatus(*stream, ToStd(parsed.message()));
  stream->status_received_ = true;
  ReceivePayload(*stream, frame);
  if (Gone(*stream)) return;
  // An error may come at any time: what it cuts short is not delivered.
  if (status.code == absl::StatusCode::kOk) {
    if (stream->assembly_ != nullptr) {
      return FailStatus(*stream, "STATUS inside a message");
    }
    if (stream->messages_received_ == 0 && !ReceivesStream(*stream)) {
      return FailStatus(*stream, "unary response without a message");
    }
  }
  EndClientStream(*stream, status, EndCause::kPeer);
}

void Session::FailStatus(Stream& stream, std::string_view why) {
  const std::string message(why);
  EndClientStream(stream,
                  {.code = absl::StatusCode::kInternal, .message = message},
                  EndCause::kFault);
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
  if (stream != nullptr && stream->flow_ != nullptr) {
    stream->flow_->credited_at = now_;
  }
  if (stream != nullptr && stream->send_queue_ != nullptr) MakeReady(*stream);
}

void Session::ReceivePing(const Frame& frame) {
  const uint64_t payload = uint64_t{LoadBigEndian32(frame.payload.data())}
                               << 32 |
                           LoadBigEndian32(frame.payload.data() + 4);
  if ((frame.header.flags & kFlagAck) != 0) {
    if (draining() && payload == kDrainPing) {
      drain_->acknowledged = true;
      if (!drain_->final) EndFirstPhase();
    }
    return;
  }
  switch (oddities().pings.OnPing(
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

void Session::CountFault(const char* what) {
  const Entry entry(this);
  Fault(what);
}

bool Session::Fault(const char* what) {
  if (closed_) return false;
  if (oddities().faults.Spend(now_)) return true;
  Close(ErrorCode::kAbuse, absl::StrCat("too many faults, the last: ", what));
  return false;
}

}  // namespace tern::wire
