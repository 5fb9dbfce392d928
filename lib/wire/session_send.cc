// The sending half of Session: frames, flow control and the order of what
// waits.

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/base/string_view.h"
#include "lib/wire/session.h"

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
         (message.compressed ? kFlagCompressed : 0);
}

}  // namespace

std::string_view Session::Output() {
  erased_.clear();
  Pump();
  return out_.view();
}

void Session::Sent(size_t size) { out_.Take(size); }

void Session::Pump() {
  while (!closed_ && !ready_.empty() && out_.size() < kOutputTargetBytes) {
    Stream* stream = Find(ready_.front());
    if (stream != nullptr && stream->send_queue_ != nullptr) {
      if (!SendChunk(*stream)) return;  // It keeps its turn.
    }
    // SendChunk may have called the host, which may have made more streams
    // ready, but only at the end.
    const StreamId id = ready_.front();
    ready_.erase(ready_.begin());
    stream = Find(id);
    if (stream != nullptr && stream->ready_) ready_.push_back(id);
  }
}

void Session::MakeReady(Stream& stream) {
  if (std::exchange(stream.ready_, true)) return;
  ready_.push_back(stream.id_);
}

// --- Frames -----------------------------------------------------------------

// Returns where the payload is to be written.
char* Session::AppendFrame(FrameType type, uint8_t flags, StreamId stream,
                           std::string_view block, size_t payload_bytes) {
  char* frame = out_.Append(kFrameHeaderBytes + block.size() + payload_bytes);
  EncodeFrameHeader(
      {.length = static_cast<uint32_t>(block.size() + payload_bytes),
       .stream = stream,
       .type = static_cast<uint8_t>(type),
       .flags = flags,
       .header_length = static_cast<uint16_t>(block.size())},
      frame);
  if (!block.empty()) {
    std::memcpy(frame + kFrameHeaderBytes, block.data(), block.size());
  }
  return frame + kFrameHeaderBytes + block.size();
}

void Session::AppendGreeting() {
  out_.Append(kPreface);
  std::string& payload = Scratch();
  AppendHello(options_.hello, &payload);
  std::memcpy(AppendFrame(FrameType::kHello, 0, 0, {}, payload.size()),
              payload.data(), payload.size());
}

void Session::AppendWindow(StreamId stream, uint32_t increment) {
  StoreBigEndian32(increment,
                   AppendFrame(FrameType::kWindow, 0, stream, {}, 4));
}

void Session::AppendGoAway(StreamId last, ErrorCode code,
                           std::string_view reason) {
  constexpr size_t kMaxReasonBytes = 256;
  if (reason.size() > kMaxReasonBytes)
    reason = reason.substr(0, kMaxReasonBytes);
  while (!IsUtf8(reason)) reason.remove_suffix(1);
  char* payload = AppendFrame(FrameType::kGoAway, 0, 0, {}, 8 + reason.size());
  StoreBigEndian32(last, payload);
  StoreBigEndian32(static_cast<uint32_t>(code), payload + 4);
  std::copy(reason.begin(), reason.end(), payload + 8);
}

void Session::AppendPing(uint64_t value, bool ack) {
  char* payload = AppendFrame(FrameType::kPing, ack ? kFlagAck : 0, 0, {}, 8);
  StoreBigEndian32(static_cast<uint32_t>(value >> 32), payload);
  StoreBigEndian32(static_cast<uint32_t>(value), payload + 4);
}

void Session::AppendStatusFrame(StreamId stream, FrameType type,
                                const StatusHeader& status) {
  std::string& block = Scratch();
  AppendStatusHeader(
      status,
      std::min<size_t>(kMaxHeaderBlockBytes, peer_hello_.max_frame_bytes),
      &block);
  AppendFrame(type, 0, stream, block, 0);
}

// --- Messages ---------------------------------------------------------------

absl::Status Session::CheckOutgoing(const OutgoingMessage& message) const {
  if (message.size <= peer_hello_.max_message_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat(is_client() ? "request of " : "response of ", message.size,
                   " bytes exceeds the ", is_client() ? "server" : "client",
                   "'s limit of ", peer_hello_.max_message_bytes, " bytes"));
}

bool Session::FitsOneFrame(const Stream& stream, size_t block_bytes,
                           const OutgoingMessage& message) const {
  const size_t payload = message.size + (message.attachment_bytes != 0 ? 4 : 0);
  return stream.send_queue_ == nullptr &&
         block_bytes + payload <=
             std::min(peer_hello_.max_frame_bytes, kMaxChunkFrameBytes) &&
         static_cast<int64_t>(payload) <=
             std::min(stream.send_window_, send_window_);
}

void Session::AppendMessageFrame(FrameType type, Stream& stream,
                                 std::string_view block,
                                 const OutgoingMessage& message,
                                 uint8_t flags) {
  const size_t prefix = message.attachment_bytes != 0 ? 4 : 0;
  char* payload =
      AppendFrame(type, flags | kFlagEndMessage | MessageFlags(message),
                  stream.id_, block, prefix + message.size);
  if (prefix != 0) StoreBigEndian32(message.attachment_bytes, payload);
  message.write(payload + prefix);
  const auto bytes = static_cast<int64_t>(prefix + message.size);
  stream.send_window_ -= bytes;
  send_window_ -= bytes;
  ++payload_frames_sent_;
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
  Stream::QueuedMessage queued = {
      .bytes = std::unique_ptr<char[]>(new char[message.size]),
      .size = message.size,
      .attachment_bytes = message.attachment_bytes,
      .compressed = message.compressed,
      .end_stream = end_stream};
  message.write(queued.bytes.get());
  queued_bytes_ += message.size;
  QueueOf(stream).messages.push_back(std::move(queued));
}

void Session::DropSendQueue(Stream& stream) {
  if (stream.send_queue_ == nullptr) return;
  for (const Stream::QueuedMessage& message : stream.send_queue_->messages) {
    queued_bytes_ -= message.size - message.sent;
  }
  stream.send_queue_.reset();
}

// Sends one frame of a stream's queue. False when the connection's window is
// what it waits for: the others wait for the same.
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
  const int64_t frame_room =
      std::min(peer_hello_.max_frame_bytes, kMaxChunkFrameBytes);
  const int64_t room =
      std::min({frame_room, stream.send_window_, send_window_});

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
      stream.ready_ = false;
      return true;
    }
  }

  const bool last = size == left;
  const uint8_t flags = (with_length ? kFlagLength : 0) |
                        (attachment_prefix != 0 ? kFlagAttachment : 0) |
                        (first && message.compressed ? kFlagCompressed : 0) |
                        (last ? kFlagEndMessage : 0) |
                        (last && message.end_stream ? kFlagEndStream : 0);
  char* payload = AppendFrame(FrameType::kData, flags, stream.id_, {},
                              static_cast<size_t>(prefix + size));
  if (with_length) {
    StoreBigEndian32(static_cast<uint32_t>(message.size), payload);
    payload += 4;
  }
  if (attachment_prefix != 0) {
    StoreBigEndian32(message.attachment_bytes, payload);
    payload += 4;
  }
  std::memcpy(payload, message.bytes.get() + message.sent,
              static_cast<size_t>(size));
  stream.send_window_ -= prefix + size;
  send_window_ -= prefix + size;
  queued_bytes_ -= static_cast<size_t>(size);
  message.sent += static_cast<size_t>(size);
  ++payload_frames_sent_;
  if (last) {
    queue.messages.pop_front();
    if (queue.messages.empty()) FlushQueueEnd(stream);
  }
  return true;
}

// All messages of the queue have gone: send what follows them.
void Session::FlushQueueEnd(Stream& stream) {
  const std::unique_ptr<Stream::SendQueue> queue =
      std::move(stream.send_queue_);
  stream.ready_ = false;
  if (queue->half_close) {
    AppendFrame(FrameType::kData, kFlagEndStream, stream.id_, {}, 0);
  }
  if (queue->finish) {
    AppendFrame(FrameType::kStatus, 0, stream.id_, queue->status_block, 0);
    stream.wire_ended_ = true;
    return Erase(&stream);
  }
  if (is_client() && stream.send_ended_ && !stream.shape_.client_streaming) {
    stream.request_end_ = out_.total_appended();
  }
  visitor_->OnWritable(stream);
}

absl::Status Session::SendMessage(Stream* stream,
                                  const OutgoingMessage& message,
                                  bool half_close) {
  if (closed_ || stream->wire_ended_ || stream->send_ended_) {
    return absl::OkStatus();
  }
  if (absl::Status status = CheckOutgoing(message); !status.ok()) {
    return status;
  }
  stream->send_ended_ = half_close;
  if (FitsOneFrame(*stream, 0, message)) {
    AppendMessageFrame(FrameType::kData, *stream, {}, message,
                       half_close ? kFlagEndStream : 0);
  } else {
    QueueMessage(*stream, message, half_close);
  }
  return absl::OkStatus();
}

void Session::HalfClose(Stream* stream) {
  if (closed_ || stream->wire_ended_ ||
      std::exchange(stream->send_ended_, true)) {
    return;
  }
  if (stream->send_queue_ != nullptr) {
    stream->send_queue_->half_close = true;
    MakeReady(*stream);
  } else {
    AppendFrame(FrameType::kData, kFlagEndStream, stream->id_, {}, 0);
  }
}

void Session::Consume(Stream* stream, size_t bytes) {
  stream->unconsumed_bytes_ -= static_cast<int64_t>(bytes);
  if (closed_ || stream->wire_ended_ || stream->receive_ended_) return;
  const int64_t initial = options_.hello.stream_window_bytes;
  const int64_t grant =
      initial - stream->unconsumed_bytes_ - stream->receive_window_;
  if (grant < initial / 2) return;
  stream->receive_window_ += grant;
  AppendWindow(stream->id_, static_cast<uint32_t>(grant));
}

// --- Calls ------------------------------------------------------------------

absl::Status Session::Start(CallHeader& header, CallShape shape,
                            MonotonicTime deadline, void* user,
                            const OutgoingMessage* message, bool half_close,
                            MonotonicTime now, Stream** result) {
  TERN_DCHECK(is_client() && CanStart() == StartBlock::kNone);
  now_ = now;
  if (message != nullptr) {
    if (absl::Status status = CheckOutgoing(*message); !status.ok()) {
      return status;
    }
  }
  MetadataChecker checker(peer_hello_.metadata);
  for (const MetadataEntryView& entry : header.metadata) {
    if (absl::Status status = checker.Add(entry.key, entry.value);
        !status.ok()) {
      return status;
    }
  }
  // Rounded up: a call that has any time left says so.
  const int64_t left_ns = deadline.is_infinite()
                              ? INT64_MAX
                              : deadline.nanoseconds() - now.nanoseconds();
  header.timeout_us =
      left_ns <= 0
          ? 0
          : static_cast<uint64_t>(left_ns / 1000 + (left_ns % 1000 != 0));
  std::string& block = Scratch();
  AppendCallHeader(header, &block);
  const size_t block_limit =
      std::min<size_t>(kMaxHeaderBlockBytes, peer_hello_.max_frame_bytes);
  if (block.size() > block_limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("call header of ", block.size(),
                     " bytes exceeds the limit of ", block_limit, " bytes"));
  }

  Stream* stream = Open(next_id_, deadline);
  highest_id_ = next_id_;
  next_id_ += 2;
  stream->shape_ = shape;
  stream->user = user;
  stream->send_ended_ = half_close;
  const uint8_t end = half_close ? kFlagEndStream : 0;
  if (message == nullptr) {
    AppendFrame(FrameType::kHeaders, end, stream->id_, block, 0);
  } else if (FitsOneFrame(*stream, block.size(), *message)) {
    AppendMessageFrame(FrameType::kHeaders, *stream, block, *message, end);
  } else {
    AppendFrame(FrameType::kHeaders, 0, stream->id_, block, 0);
    QueueMessage(*stream, *message, half_close);
  }
  if (stream->send_queue_ == nullptr || shape.client_streaming) {
    stream->request_end_ = out_.total_appended();
  }
  *result = stream;
  return absl::OkStatus();
}

void Session::Cancel(Stream* stream, absl::StatusCode code,
                     std::string_view reason) {
  TERN_DCHECK(is_client());
  if (stream->wire_ended_) return;
  const StatusHeader status = {.code = code,
                               .message = reason,
                               .certainty = NeverWhole(*stream)
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
  MetadataChecker checker(peer_hello_.metadata);
  for (const MetadataEntryView& entry : header.metadata) {
    if (absl::Status status = checker.Add(entry.key, entry.value);
        !status.ok()) {
      return status;
    }
  }
  std::string& block = Scratch();
  AppendResponseHeader(header, &block);
  AppendFrame(FrameType::kHeaders, 0, stream->id_, block, 0);
  return absl::OkStatus();
}

absl::Status Session::Finish(Stream* stream, const StatusHeader& given,
                             const OutgoingMessage* message) {
  TERN_CHECK(!is_client() && !std::exchange(stream->host_done_, true));
  if (closed_ || stream->wire_ended_) {
    Erase(stream);
    return absl::OkStatus();
  }
  absl::Status checked = absl::OkStatus();
  if (message != nullptr) checked = CheckOutgoing(*message);
  MetadataChecker checker(peer_hello_.metadata);
  for (const MetadataEntryView& entry : given.trailing_metadata) {
    checked.Update(checker.Add(entry.key, entry.value));
  }
  StatusHeader replaced;
  const std::string why(ToStd(checked.message()));
  if (!checked.ok()) {
    message = nullptr;
    replaced = {.code = checked.code(),
                .message = why,
                .certainty = Certainty::kFinished};
  }
  const StatusHeader& status = checked.ok() ? given : replaced;

  stream->send_ended_ = true;
  std::string& block = Scratch();
  AppendStatusHeader(
      status,
      std::min<size_t>(kMaxHeaderBlockBytes, peer_hello_.max_frame_bytes),
      &block);
  if (message == nullptr && stream->send_queue_ == nullptr) {
    AppendFrame(FrameType::kStatus, 0, stream->id_, block, 0);
  } else if (message != nullptr &&
             FitsOneFrame(*stream, block.size(), *message)) {
    AppendMessageFrame(FrameType::kStatus, *stream, block, *message, 0);
  } else {
    if (message != nullptr) {
      const std::string saved = block;  // `write` may use the scratch.
      QueueMessage(*stream, *message, /*end_stream=*/false);
      block = saved;
    }
    Stream::SendQueue& queue = QueueOf(*stream);
    queue.finish = true;
    queue.status_block = block;
    return checked;
  }
  stream->wire_ended_ = true;
  Erase(stream);
  return checked;
}

}  // namespace tern::wire
