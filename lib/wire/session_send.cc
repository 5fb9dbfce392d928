// The sending half of Session: frames, flow control and the order of what
// waits.

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/large_blocks.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/string_view.h"
#include "tern/lib/wire/crc32c.h"
#include "tern/lib/wire/session.h"

namespace tern::wire {
namespace {

// Where header blocks are put together: one for each thread, so that an idle
// connection holds no memory for it.
std::string& Scratch() {
  thread_local std::string scratch;
  scratch.clear();
  return scratch;
}

uint8_t MessageFlags(const OutgoingMessage& message) {
  return (message.attachment_bytes != 0 ? kFlagAttachment : 0) |
         (message.inflated_bytes != 0 ? kFlagCompressed : 0);
}

}  // namespace

OutputPieces Session::Output() {
  const bool waiting = !ready_.empty() || has_urgent_;
  if (!waiting && out_.empty()) return {};
  const Entry entry(this);
  if (waiting) Pump();
  SealFrame();
  return out_.pieces();
}

void Session::Sent(size_t size) { out_.Take(size); }

void Session::Pump() {
  while (!closed_ && out_.size() < kOutputTargetBytes) {
    StreamId id = has_urgent_ ? TakeUrgent() : 0;
    if (id == 0) {
      if (ready_.empty()) return;
      id = ready_.front();
      ready_.erase(ready_.begin());
    }
    Stream* stream = streams_.Find(id);
    if (stream == nullptr) continue;
    stream->ready_ = false;
    if (stream->send_queue_ == nullptr || GivesWay(*stream)) continue;
    if (!SendChunk(*stream)) {  // It keeps its turn.
      return KeepTurn(*stream);
    }
  }
}

void Session::MakeReady(Stream& stream) {
  if (std::exchange(stream.ready_, true)) return;
  if (stream.priority_ == 0) return ready_.push_back(stream.id_);
  urgent().Add(stream.id_, stream.priority_);
  has_urgent_ = true;
}

UrgentStreams& Session::urgent() {
  std::unique_ptr<UrgentStreams>& urgent = oddities().urgent;
  if (urgent == nullptr) urgent = std::make_unique<UrgentStreams>();
  return *urgent;
}

// 0: the first of ready_ is next.
StreamId Session::TakeUrgent() {
  const StreamId id = urgent().TakeNext(/*others_wait=*/!ready_.empty());
  has_urgent_ = !urgent().empty();
  return id;
}

void Session::KeepTurn(Stream& stream) {
  stream.ready_ = true;
  if (stream.priority_ == 0) {
    ready_.insert(ready_.begin(), stream.id_);
    return;
  }
  urgent().AddFirst(stream.id_, stream.priority_);
  has_urgent_ = true;
}

void Session::LoseTurn(Stream& stream) {
  if (stream.priority_ == 0) {
    std::erase(ready_, stream.id_);
    return;
  }
  urgent().Remove(stream.id_, stream.priority_);
  has_urgent_ = !urgent().empty();
}

// --- Frames -----------------------------------------------------------------

char* Session::AppendFrame(FrameType type, uint8_t flags, StreamId stream,
                           size_t block_bytes, size_t payload_bytes,
                           size_t shared_bytes) {
  SealFrame();
  // The peer's HELLO, which turns checksums on, comes after our own.
  const size_t checksum_bytes = checksum_bytes_;
  const size_t length = block_bytes + payload_bytes + checksum_bytes;
  char* frame = out_.Append(kFrameHeaderBytes + length - shared_bytes);
  if (checksum_bytes != 0) {
    flags |= kFlagChecksum;
    unsealed_bytes_ = kFrameHeaderBytes + length;
  }
  EncodeFrameHeader({.length = static_cast<uint32_t>(length),
                     .stream = stream,
                     .type = static_cast<uint8_t>(type),
                     .flags = flags,
                     .header_length = static_cast<uint16_t>(block_bytes)},
                    frame);
  return frame + kFrameHeaderBytes;
}

void Session::WriteChecksum() {
  const size_t size = std::exchange(unsealed_bytes_, 0) - kChecksumBytes;
  char* frame = out_.Tail(size + kChecksumBytes);
  StoreBigEndian32(Crc32c({frame, size}), frame + size);
}

void Session::AppendGreeting() {
  out_.Append(kPreface);
  std::string& payload = Scratch();
  AppendHello(options_.hello, &payload);
  std::memcpy(AppendFrame(FrameType::kHello, 0, 0, 0, payload.size()),
              payload.data(), payload.size());
}

void Session::AppendWindow(StreamId stream, uint32_t increment) {
  StoreBigEndian32(increment, AppendFrame(FrameType::kWindow, 0, stream, 0, 4));
}

void Session::AppendGoAway(StreamId last, ErrorCode code,
                           std::string_view reason) {
  constexpr size_t kMaxReasonBytes = 256;
  if (reason.size() > kMaxReasonBytes)
    reason = reason.substr(0, kMaxReasonBytes);
  while (!IsUtf8(reason)) reason.remove_suffix(1);
  char* payload = AppendFrame(FrameType::kGoAway, 0, 0, 0, 8 + reason.size());
  StoreBigEndian32(last, payload);
  StoreBigEndian32(static_cast<uint32_t>(code), payload + 4);
  std::copy(reason.begin(), reason.end(), payload + 8);
}

void Session::AppendPing(uint64_t value, bool ack) {
  char* payload = AppendFrame(FrameType::kPing, ack ? kFlagAck : 0, 0, 0, 8);
  StoreBigEndian32(static_cast<uint32_t>(value >> 32), payload);
  StoreBigEndian32(static_cast<uint32_t>(value), payload + 4);
}

void Session::AppendStatusFrame(StreamId stream, FrameType type,
                                const StatusHeader& status) {
  const StatusBlock block(status, max_block_bytes_);
  block.Write(AppendFrame(type, 0, stream, block.size(), 0));
}

// What the peer's HELLO (or its default) means for our frames.
void Session::NotePeerLimits(const Hello& peer) {
  peer_ = PeerLimits(peer);
  peer_compressions_ = peer.features & kCompressionFeatures;
  const bool checksums =
      (options_.hello.features & peer.features & kFeatureChecksum) != 0;
  checksum_bytes_ = checksums ? kChecksumBytes : 0;
  max_block_bytes_ = std::min<uint32_t>(kMaxHeaderBlockBytes,
                                        peer.max_frame_bytes - checksum_bytes_);
  max_body_bytes_ =
      std::min(peer.max_frame_bytes, kMaxChunkFrameBytes) - checksum_bytes_;
  keepalive_interval_ns_ = absl::ToInt64Nanoseconds(
      std::max(options_.keepalive_interval,
               absl::Milliseconds(peer.min_ping_interval_ms)));
}

absl::Status Session::BlockTooLong(size_t bytes) const {
  return absl::ResourceExhaustedError(
      absl::StrCat("header block of ", bytes, " bytes exceeds the limit of ",
                   max_block_bytes_, " bytes"));
}

absl::Status Session::CheckMetadata(
    const std::vector<MetadataEntryView>& metadata) const {
  absl::Status status;
  MetadataChecker checker(peer_.metadata);
  for (const auto& [key, value] : metadata) {
    status.Update(checker.Add(key, value));
  }
  return status;
}

// --- Messages ---------------------------------------------------------------

absl::Status Session::MessageTooLong(const OutgoingMessage& message) const {
  return absl::ResourceExhaustedError(TooLong(
      /*request=*/is_client(),
      absl::StrCat(std::max<size_t>(message.size, message.inflated_bytes),
                   " bytes",
                   message.attachment_bytes != 0 ? " with its attachment" : ""),
      peer_.max_message_bytes));
}

std::string Session::TooLong(bool request, std::string_view size,
                             uint32_t limit) {
  return absl::StrCat(request ? "request of " : "response of ", ToAbsl(size),
                      " exceeds the ", request ? "server" : "client",
                      "'s limit of ", limit, " bytes (max_message_bytes)");
}

bool Session::FitsOneFrame(const Stream& stream, size_t block_bytes,
                           const OutgoingMessage& message) const {
  const size_t payload = message.size + (message.attachment_bytes != 0 ? 4 : 0);
  return stream.send_queue_ == nullptr &&
         block_bytes + payload <= max_body_bytes_ &&
         static_cast<int64_t>(payload) <=
             std::min(stream.send_window_, send_window_);
}

char* Session::AppendMessageFrame(FrameType type, Stream& stream,
                                  size_t block_bytes,
                                  const OutgoingMessage& message,
                                  uint8_t flags) {
  if (message.shared != nullptr && message.pieces.empty() &&
      Shares(message.size)) {
    return AppendSharedMessageFrame(type, stream, block_bytes, message, flags);
  }
  const size_t prefix = message.attachment_bytes != 0 ? 4 : 0;
  char* const block =
      AppendFrame(type, flags | kFlagEndMessage | MessageFlags(message),
                  stream.id_, block_bytes, prefix + message.size);
  char* const payload = block + block_bytes;
  if (prefix != 0) StoreBigEndian32(message.attachment_bytes, payload);
  message.write(payload + prefix);
  CountPayload(stream, prefix + message.size);
  return block;
}

char* Session::AppendSharedMessageFrame(FrameType type, Stream& stream,
                                        size_t block_bytes,
                                        const OutgoingMessage& message,
                                        uint8_t flags) {
  const size_t prefix = message.attachment_bytes != 0 ? 4 : 0;
  char* const block =
      AppendFrame(type, flags | kFlagEndMessage | MessageFlags(message),
                  stream.id_, block_bytes, prefix + message.size, message.size);
  if (prefix != 0) {
    StoreBigEndian32(message.attachment_bytes, block + block_bytes);
  }
  out_.AppendShared({message.shared->get(), message.size}, *message.shared);
  CountPayload(stream, prefix + message.size);
  return block;
}

Stream::SendQueue& Session::QueueOf(Stream& stream) {
  if (stream.send_queue_ == nullptr) {
    stream.send_queue_ = std::make_unique<Stream::SendQueue>();
  }
  MakeReady(stream);
  return *stream.send_queue_;
}

void Session::QueueMessage(Stream& stream, const OutgoingMessage& message,
                           bool end_stream) {
  Stream::QueuedMessage queued = {.size = message.size,
                                  .attachment_bytes = message.attachment_bytes,
                                  .compressed = message.inflated_bytes != 0,
                                  .end_stream = end_stream};
  if (message.shared != nullptr) {
    queued.owner = *message.shared;
  } else if (!message.pieces.empty()) {
    TERN_DCHECK(is_client());
    stream.lends_ = true;
  } else {
    const std::shared_ptr<char[]> written = MakeSharedBytes(message.size);
    message.write(written.get());
    queued.owner = written;
  }
  if (message.pieces.empty()) {
    queued.piece = {queued.owner.get(), message.size};
  } else {
    queued.more.assign(message.pieces.begin(), message.pieces.end());
  }
  queued_bytes_ += message.size;
  Stream::SendQueue& queue = QueueOf(stream);
  queue.bytes += message.size;
  queue.messages.push_back(std::move(queued));
}

void Session::DropSendQueue(Stream& stream) {
  if (stream.send_queue_ == nullptr) return;
  queued_bytes_ -= stream.send_queue_->bytes;
  stream.send_queue_.reset();
}

void Session::NoteRequestEnd(Stream& stream) {
  if (stream.request_end_ != Stream::kNotAppended) return;
  stream.request_end_ = out_.total_appended();
}

// Sends one frame of a stream's queue, and gives it another turn if it needs
// one. False when the connection's window is what it waits for: the others wait
// for the same.
bool Session::SendChunk(Stream& stream) {
  Stream::SendQueue& queue = *stream.send_queue_;
  if (queue.messages.empty()) {
    FlushQueueEnd(stream);
    return true;
  }
  Stream::QueuedMessage& message = queue.messages.front();
  const bool first = message.sent == 0;
  const size_t attachment_prefix =
      first && message.attachment_bytes != 0 ? 4 : 0;
  const auto left = static_cast<int64_t>(message.size - message.sent);
  const int64_t room =
      std::min({int64_t{max_body_bytes_}, stream.send_window_, send_window_});

  int64_t prefix = static_cast<int64_t>(attachment_prefix);
  int64_t size = left;
  bool with_length = false;
  if (left + prefix > room) {
    with_length = first;
    if (with_length) prefix += 4;
    size = std::min(left, room - prefix);
    if (size < std::min<int64_t>(left, kMinChunkBytes)) {
      // Not worth a frame: wait for credit. The connection's, or its own?
      if (send_window_ <= stream.send_window_) return false;
      return true;
    }
  }

  const bool last = size == left;
  const uint8_t flags = (with_length ? kFlagLength : 0) |
                        (attachment_prefix != 0 ? kFlagAttachment : 0) |
                        (first && message.compressed ? kFlagCompressed : 0) |
                        (last ? kFlagEndMessage : 0) |
                        (last && message.end_stream ? kFlagEndStream : 0);
  const auto bytes = static_cast<size_t>(size);
  const bool shared = Shares(bytes);
  char* payload =
      AppendFrame(FrameType::kData, flags, stream.id_, 0,
                  static_cast<size_t>(prefix) + bytes, shared ? bytes : 0);
  if (with_length) {
    StoreBigEndian32(static_cast<uint32_t>(message.size), payload);
    payload += 4;
  }
  if (attachment_prefix != 0) {
    StoreBigEndian32(message.attachment_bytes, payload);
    payload += 4;
  }
  for (size_t missing = bytes; missing != 0;) {
    const std::string_view piece = message.Take(missing);
    missing -= piece.size();
    if (!shared) {
      payload = std::copy(piece.begin(), piece.end(), payload);
    } else if (piece.size() < kMinDirectBytes) {
      out_.Append(piece);
    } else if (message.owner != nullptr) {
      out_.AppendShared(piece, message.owner);
    } else {
      out_.AppendLent(piece, stream.id_);
    }
  }
  CountPayload(stream, static_cast<size_t>(prefix) + bytes);
  queued_bytes_ -= bytes;
  queue.bytes -= bytes;
  message.sent += bytes;
  if (last) {
    queue.messages.pop_front();
    if (queue.messages.empty()) {
      FlushQueueEnd(stream);
      return true;
    }
  }
  MakeReady(stream);
  const bool now_low =
      queue.bytes < kLowQueueBytes && queue.bytes + bytes >= kLowQueueBytes;
  if (now_low && !stream.host_done_ && !queue.finish) {
    visitor_->OnWritable(stream);
  }
  return true;
}

// All messages of the queue have gone: send what follows them.
void Session::FlushQueueEnd(Stream& stream) {
  const std::unique_ptr<Stream::SendQueue> queue =
      std::move(stream.send_queue_);
  if (queue->half_close) {
    AppendFrame(FrameType::kData, kFlagEndStream, stream.id_, 0, 0);
  }
  if (queue->finish) {
    const std::string& block = queue->status_block;
    block.copy(AppendFrame(FrameType::kStatus, 0, stream.id_, block.size(), 0),
               block.size());
    return Erase(stream);
  }
  if (stream.send_ended_) NoteRequestEnd(stream);
  visitor_->OnWritable(stream);
}

absl::Status Session::SendMessage(Stream* stream,
                                  const OutgoingMessage& message,
                                  bool half_close) {
  if (closed_ || stream->wire_ended_ || stream->send_ended_) {
    return absl::OkStatus();
  }
  if (!Allows(message)) return MessageTooLong(message);
  half_close &= is_client();
  stream->send_ended_ = half_close;
  // In the queue a stream has its turns; what is in out_ goes before all
  // others.
  if (FitsOneFrame(*stream, 0, message) && out_.size() < kOutputTargetBytes &&
      !GivesWay(*stream)) {
    AppendMessageFrame(FrameType::kData, *stream, 0, message,
                       half_close ? kFlagEndStream : 0);
    if (half_close) NoteRequestEnd(*stream);
  } else {
    QueueMessage(*stream, message, half_close);
  }
  return absl::OkStatus();
}

void Session::HalfClose(Stream* stream) {
  TERN_DCHECK(is_client());
  if (closed_ || stream->wire_ended_ ||
      std::exchange(stream->send_ended_, true)) {
    return;
  }
  if (stream->send_queue_ != nullptr) {
    stream->send_queue_->half_close = true;
    MakeReady(*stream);
  } else {
    AppendFrame(FrameType::kData, kFlagEndStream, stream->id_, 0, 0);
    NoteRequestEnd(*stream);
  }
}

size_t Session::QueuedBytes(const Stream* stream) const {
  return stream->send_queue_ == nullptr ? 0 : stream->send_queue_->bytes;
}

// --- Calls ------------------------------------------------------------------

absl::Status Session::Start(CallHeader& header, CallShape shape,
                            MonotonicTime deadline, void* user,
                            const OutgoingMessage* message, bool half_close,
                            MonotonicTime now, Stream** result) {
  TERN_DCHECK(is_client() && CanStart() == StartBlock::kNone);
  const Entry entry(this);
  now_ = now;
  if (deadline <= now) {
    return absl::DeadlineExceededError(ToAbsl(kLateToStart));
  }
  if (message != nullptr && !Allows(*message)) return MessageTooLong(*message);
  if (!header.metadata.empty()) {
    absl::Status status = CheckMetadata(header.metadata);
    if (!status.ok()) return status;
  }
  // Rounded up: a call that has any time left says so.
  const int64_t left_ns = deadline.is_infinite()
                              ? INT64_MAX
                              : deadline.nanoseconds() - now.nanoseconds();
  header.timeout_us =
      static_cast<uint64_t>(left_ns / 1000 + (left_ns % 1000 != 0));
  const size_t block_bytes = CallHeaderSize(header);
  if (block_bytes > max_block_bytes_) return BlockTooLong(block_bytes);

  Stream* stream = Open(next_id_, deadline);
  highest_id_ = next_id_;
  next_id_ += 2;
  stream->shape_ = shape;
  stream->priority_ =
      static_cast<uint8_t>(std::min(header.priority, kMaxPriority));
  stream->user = user;
  stream->send_ended_ = half_close;
  const uint8_t end = half_close ? kFlagEndStream : 0;
  const bool fits =
      message != nullptr && FitsOneFrame(*stream, block_bytes, *message);
  WriteCallHeader(header,
                  fits ? AppendMessageFrame(FrameType::kHeaders, *stream,
                                            block_bytes, *message, end)
                       : AppendFrame(FrameType::kHeaders,
                                     message == nullptr ? end : uint8_t{0},
                                     stream->id_, block_bytes, 0));
  if (message != nullptr && !fits) {
    QueueMessage(*stream, *message, half_close);
  }
  if (shape.client_streaming ||
      (half_close && stream->send_queue_ == nullptr)) {
    NoteRequestEnd(*stream);
  }
  *result = stream;
  if (next_id_ > kMaxStreamId) {
    // As if the server had asked for it: other calls need another connection,
    // and this one ends with its last call.
    goaway_received_ = true;
    visitor_->OnGoAway(ErrorCode::kNoError, "stream ids are used up");
  }
  return absl::OkStatus();
}

void Session::Cancel(Stream* stream, absl::StatusCode code,
                     std::string_view reason) {
  TERN_DCHECK(is_client());
  const Entry entry(this);
  if (stream->wire_ended_) return;
  const StatusHeader status = {
      .code = code,
      .message = reason,
      .certainty = stream->request_end_ == Stream::kNotAppended
                       ? Certainty::kNotStarted
                       : Certainty::kMaybeStarted};
  if (!closed_) AppendStatusFrame(stream->id_, FrameType::kCancel, status);
  EndClientStream(*stream, status,
                  code == absl::StatusCode::kDeadlineExceeded
                      ? EndCause::kDeadline
                      : EndCause::kLocal);
}

absl::Status Session::SendResponseHeader(Stream* stream,
                                         const ResponseHeader& header) {
  if (closed_ || stream->wire_ended_) return absl::OkStatus();
  if (absl::Status status = CheckMetadata(header.metadata); !status.ok()) {
    return status;
  }
  std::string& block = Scratch();
  AppendResponseHeader(header, &block);
  if (block.size() > max_block_bytes_) return BlockTooLong(block.size());
  block.copy(AppendFrame(FrameType::kHeaders, 0, stream->id_, block.size(), 0),
             block.size());
  return absl::OkStatus();
}

absl::Status Session::Finish(Stream* stream, const StatusHeader& given,
                             const OutgoingMessage* message) {
  TERN_CHECK(!is_client() && !std::exchange(stream->host_done_, true));
  const Entry entry(this);
  if (closed_ || stream->wire_ended_) {
    Erase(*stream);
    return absl::OkStatus();
  }
  DropAssembly(*stream);
  stream->send_ended_ = true;
  if ((message == nullptr || Allows(*message)) &&
      given.trailing_metadata.empty()) {
    SendEnd(*stream, given, message);
    return absl::OkStatus();
  }
  return FinishChecked(*stream, given, message);
}

// Puts another status in the place of what the client does not allow.
absl::Status Session::FinishChecked(Stream& stream, const StatusHeader& given,
                                    const OutgoingMessage* message) {
  absl::Status checked = message == nullptr || Allows(*message)
                             ? absl::OkStatus()
                             : MessageTooLong(*message);
  const absl::Status metadata = CheckMetadata(given.trailing_metadata);
  StatusHeader status = given;
  if (!metadata.ok() && given.code != absl::StatusCode::kOk) {
    // An error that is too large loses its metadata and stays the same error.
    status.trailing_metadata.clear();
    status.truncated = true;
  } else {
    checked.Update(metadata);
  }
  const std::string why(ToStd(checked.message()));
  if (!checked.ok()) {
    status = {.code = checked.code(),
              .message = why,
              .certainty = Certainty::kFinished};
    message = nullptr;
  }
  SendEnd(stream, status, message);
  return checked;
}

// STATUS, and the message before it; now, or behind what waits for windows.
void Session::SendEnd(Stream& stream, const StatusHeader& status,
                      const OutgoingMessage* message) {
  const StatusBlock block(status, max_block_bytes_);
  const bool waits = message == nullptr
                         ? stream.send_queue_ != nullptr
                         : !FitsOneFrame(stream, block.size(), *message);
  if (!waits) {
    block.Write(
        message == nullptr
            ? AppendFrame(FrameType::kStatus, 0, stream.id_, block.size(), 0)
            : AppendMessageFrame(FrameType::kStatus, stream, block.size(),
                                 *message, 0));
    return Erase(stream);
  }
  if (stream.cancel_told_) {
    // After the deadline nothing waits for windows any more.
    AppendStatusFrame(
        stream.id_, FrameType::kStatus,
        status.code != absl::StatusCode::kOk
            ? status
            : StatusHeader{.code = absl::StatusCode::kDeadlineExceeded,
                           .message = kLateResponse});
    return Erase(stream);
  }
  if (message != nullptr) QueueMessage(stream, *message, /*end_stream=*/false);
  Stream::SendQueue& queue = QueueOf(stream);
  queue.finish = true;
  queue.status_block.resize(block.size());
  block.Write(queue.status_block.data());
}

}  // namespace tern::wire
