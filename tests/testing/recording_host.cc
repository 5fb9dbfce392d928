#include "tests/testing/recording_host.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tern/lib/base/string_view.h"

namespace tern::testing {

using wire::CallShape;
using wire::OutgoingMessage;
using wire::Session;
using wire::StatusHeader;
using wire::Stream;
using wire::StreamId;

namespace {

constexpr size_t kMostTextBytes = 64;

std::string Quoted(std::string_view bytes) {
  if (bytes.size() > kMostTextBytes) {
    return absl::StrCat(bytes.size(), " bytes");
  }
  return absl::StrCat("\"", Printable(bytes), "\"");
}

std::string Metadata(const std::vector<wire::MetadataEntryView>& entries) {
  std::string text;
  for (const auto& [key, value] : entries) {
    absl::StrAppend(&text, " ", ToAbsl(key), "=", Printable(value));
  }
  return text;
}

std::string_view NameOf(wire::CancelCause cause) {
  switch (cause) {
    case wire::CancelCause::kPeer:
      return "peer";
    case wire::CancelCause::kDeadline:
      return "deadline";
    case wire::CancelCause::kFault:
      return "fault";
    case wire::CancelCause::kConnection:
      return "connection";
  }
  return "?";
}

std::string_view NameOf(wire::EndCause cause) {
  switch (cause) {
    case wire::EndCause::kPeer:
      return "peer";
    case wire::EndCause::kLocal:
      return "local";
    case wire::EndCause::kDeadline:
      return "deadline";
    case wire::EndCause::kFault:
      return "fault";
    case wire::EndCause::kConnection:
      return "connection";
  }
  return "?";
}

// All of `bytes`, cut into short and long pieces.
std::vector<std::string_view> InPieces(std::string_view bytes) {
  std::vector<std::string_view> pieces;
  for (size_t size = 1; !bytes.empty(); size = size * 19 % 20'011) {
    pieces.push_back(bytes.substr(0, size));
    bytes.remove_prefix(pieces.back().size());
  }
  return pieces;
}

// Calls `use` with `message` as a session takes it, and checks that `write` is
// called at most once. Its size modulo 4 says how it lies: 0 in one place, 1
// nowhere yet, 2 in pieces, 3 in pieces that are `lent`, if that is not null.
template <typename Use>
auto WithOutgoing(const TestMessage& message,
                  std::vector<RecordingHost::Lent>* lent, const Use& use) {
  int writes = 0;
  const auto write = [&](char* buffer) {
    ++writes;
    if (!message.bytes.empty()) {
      std::memcpy(buffer, message.bytes.data(), message.bytes.size());
    }
  };
  const size_t size = message.bytes.size();
  const auto copy = std::make_shared<char[]>(size);
  message.bytes.copy(copy.get(), size);
  const std::shared_ptr<const char[]> shared = copy;
  const bool lends = size % 4 == 3 && lent != nullptr;
  const std::vector<std::string_view> pieces = InPieces({copy.get(), size});
  OutgoingMessage outgoing = {
      .size = size,
      .attachment_bytes = static_cast<uint32_t>(message.attachment_bytes),
      .inflated_bytes = message.inflated_bytes,
      .shared = size % 4 == 1 || lends ? nullptr : &shared,
      .write = write};
  if (size % 4 >= 2) outgoing.pieces = pieces;
  if (lends) lent->push_back({copy, size});
  auto result = use(outgoing);
  EXPECT_LE(writes, 1);
  return result;
}

}  // namespace

CallShape ShapeOf(std::string_view method) {
  return {.client_streaming =
              method == kClientStreaming || method == kBidirectional,
          .server_streaming =
              method == kServerStreaming || method == kBidirectional};
}

StreamId StreamOf(std::string_view event) {
  return static_cast<StreamId>(
      std::stoul(std::string(event.substr(event.find(' ') + 1))));
}

std::string Printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && byte != '\\' && byte != '"') {
      text.push_back(c);
    } else {
      absl::StrAppend(&text, "\\x", absl::Hex(byte, absl::kZeroPad2));
    }
  }
  return text;
}

std::string_view NameOf(Certainty certainty) {
  switch (certainty) {
    case Certainty::kMaybeStarted:
      return "MAYBE_STARTED";
    case Certainty::kNotStarted:
      return "NOT_STARTED";
    case Certainty::kFinished:
      return "FINISHED";
  }
  return "?";
}

RecordingHost::RecordingHost(wire::SessionOptions options, MonotonicTime now)
    : options_(std::move(options)),
      is_client_(options_.role == wire::Role::kClient),
      session_(std::make_unique<Session>(&options_, this, now)) {}

RecordingHost::~RecordingHost() = default;

std::vector<std::string> RecordingHost::TakeEvents() {
  return std::exchange(events_, {});
}

Stream* RecordingHost::stream(StreamId id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second;
}

std::vector<StreamId> RecordingHost::live_ids() const {
  std::vector<StreamId> ids;
  for (const auto& [id, stream] : streams_) ids.push_back(id);
  return ids;
}

void RecordingHost::Log(std::string event, Stream* stream) {
  EXPECT_FALSE(closed_told_ && event.substr(0, 6) != "closed")
      << event << " after OnClosed";
  if (stream != nullptr) {
    EXPECT_EQ(this->stream(stream->id()), stream) << event;
  }
  events_.push_back(event);
  if (hook) hook(event);
}

bool RecordingHost::Streaming(StreamId id) {
  const CallShape shape = shape_of(methods_[id]);
  return is_client_ ? shape.server_streaming : shape.client_streaming;
}

// --- Verbs -------------------------------------------------------------------

StreamId RecordingHost::Start(std::string_view method,
                              const TestMessage* message, MonotonicTime now,
                              const CallArguments& arguments) {
  wire::CallHeader header = {.method = method,
                             .metadata = arguments.metadata,
                             .priority = arguments.priority,
                             .required_features = arguments.required_features,
                             .codec = arguments.codec,
                             .compression = arguments.compression};
  Stream* stream = nullptr;
  const auto start = [&](const OutgoingMessage* outgoing) {
    return session_->Start(header, shape_of(method), arguments.deadline,
                           /*user=*/nullptr, outgoing, arguments.half_close,
                           now, &stream);
  };
  std::vector<Lent> lent;
  start_status_ =
      message == nullptr
          ? start(nullptr)
          : WithOutgoing(*message, &lent,
                         [&](const OutgoingMessage& m) { return start(&m); });
  if (!start_status_.ok()) {
    EXPECT_EQ(stream, nullptr);
    return 0;
  }
  lent_[stream->id()] = std::move(lent);
  streams_[stream->id()] = stream;
  methods_[stream->id()] = std::string(method);
  return stream->id();
}

StreamId RecordingHost::Call(std::string_view method,
                             const TestMessage& message, MonotonicTime now,
                             const CallArguments& arguments) {
  return Start(method, &message, now, arguments);
}

StreamId RecordingHost::Open(std::string_view method, MonotonicTime now,
                             MonotonicTime deadline) {
  return Start(method, nullptr, now,
               {.deadline = deadline, .half_close = false});
}

void RecordingHost::Cancel(StreamId id, absl::StatusCode code) {
  session_->Cancel(stream(id), code, "cancelled by the test");
}

void RecordingHost::HalfClose(StreamId id) { session_->HalfClose(stream(id)); }

absl::Status RecordingHost::Send(StreamId id, const TestMessage& message,
                                 bool half_close) {
  std::vector<Lent>* const lent = is_client_ ? &lent_[id] : nullptr;
  return WithOutgoing(message, lent, [&](const OutgoingMessage& outgoing) {
    return session_->SendMessage(stream(id), outgoing, half_close);
  });
}

absl::Status RecordingHost::Reply(StreamId id, const TestMessage& message) {
  return WithOutgoing(message, /*lent=*/nullptr,
                      [&](const OutgoingMessage& outgoing) {
                        return End(id, StatusHeader(), &outgoing);
                      });
}

absl::Status RecordingHost::Finish(StreamId id, const StatusHeader& status) {
  return End(id, status, nullptr);
}

absl::Status RecordingHost::End(StreamId id, const StatusHeader& status,
                                const OutgoingMessage* message) {
  Stream* finished = stream(id);
  if (finished == nullptr) {
    ADD_FAILURE() << "stream " << id << " has been finished already";
    return absl::OkStatus();
  }
  streams_.erase(id);
  return session_->Finish(finished, status, message);
}

absl::Status RecordingHost::Finish(StreamId id, absl::StatusCode code) {
  return Finish(id, {.code = code, .certainty = Certainty::kFinished});
}

// --- SessionVisitor ----------------------------------------------------------

void RecordingHost::OnCall(Stream& stream, const wire::CallHeader& header,
                           CallShape* shape) {
  EXPECT_FALSE(is_client_);
  EXPECT_TRUE(streams_.emplace(stream.id(), &stream).second);
  EXPECT_EQ(methods_.count(stream.id()), 0u) << "a handler would run twice";
  methods_[stream.id()] = std::string(header.method);
  *shape = shape_of(header.method);
  Log(absl::StrCat("call ", stream.id(), " ", ToAbsl(header.method),
                   Metadata(header.metadata)),
      &stream);
}

void RecordingHost::OnHalfClose(Stream& stream) {
  Log(absl::StrCat("half-close ", stream.id()), &stream);
}

void RecordingHost::OnCancel(Stream& stream, wire::CancelCause cause) {
  const StreamId id = stream.id();
  EXPECT_EQ(++ends_[id], 1) << "OnCancel twice for " << id;
  Log(absl::StrCat("cancel ", id, " ", ToAbsl(NameOf(cause))), &stream);
  if (finish_cancelled && this->stream(id) != nullptr) {
    EXPECT_TRUE(Finish(id, cause == wire::CancelCause::kDeadline
                               ? absl::StatusCode::kDeadlineExceeded
                               : absl::StatusCode::kCancelled)
                    .ok());
  }
}

void RecordingHost::OnResponseHeader(Stream& stream,
                                     const wire::ResponseHeader& header) {
  Log(absl::StrCat("header ", stream.id(), Metadata(header.metadata)), &stream);
}

void RecordingHost::OnEnd(Stream& stream, const StatusHeader& status,
                          wire::EndCause cause) {
  const StreamId id = stream.id();
  EXPECT_TRUE(is_client_);
  EXPECT_EQ(++ends_[id], 1) << "OnEnd twice for " << id;
  last_text_ = std::string(status.message);
  std::string event =
      absl::StrCat("end ", id, " ", absl::StatusCodeToString(status.code));
  if (status.code != absl::StatusCode::kOk) {
    absl::StrAppend(&event, " ", ToAbsl(NameOf(status.certainty)), " ",
                    ToAbsl(NameOf(cause)));
  }
  event += Metadata(status.trailing_metadata);
  if (status.truncated) event += " truncated";
  EXPECT_EQ(streams_.erase(id), 1u);
  for (const auto& [bytes, size] : lent_[id]) {
    std::fill_n(bytes.get(), size, '!');
  }
  lent_.erase(id);
  Log(std::move(event), nullptr);
}

bool RecordingHost::OnMessageStart(Stream& stream, uint32_t length) {
  const StreamId id = stream.id();
  if (log_details) Log(absl::StrCat("begin ", id, " ", length), &stream);
  return accept_messages;
}

bool RecordingHost::OnMessageChunk(Stream& stream, size_t bytes) {
  EXPECT_EQ(this->stream(stream.id()), &stream);
  if (log_chunks) {
    Log(absl::StrCat("chunk ", stream.id(), " ", bytes), &stream);
  }
  if (bytes > room) return false;
  room -= bytes;
  return true;
}

void RecordingHost::OnMessage(Stream& stream, wire::IncomingMessage& message) {
  const StreamId id = stream.id();
  last_place_ = message.bytes.data();
  std::string whole(message.bytes);
  whole.append(message.attachment);
  messages_[id].push_back(whole);
  last_messages_.insert_or_assign(
      id, TestMessage(whole, message.attachment.size()));
  constexpr const char* kCompressions[] = {"", "gzip ", "zstd "};
  std::string event =
      absl::StrCat("message ", id, " ", kCompressions[message.compression],
                   Quoted(message.bytes));
  if (!message.attachment.empty()) {
    absl::StrAppend(&event, " + ", Quoted(message.attachment));
  }
  if (message.storage != nullptr) {
    EXPECT_EQ(message.storage->view(), whole);
    const wire::ByteBuffer moved = std::move(*message.storage);
  }
  Log(std::move(event), &stream);
  if (consume && Streaming(id) && this->stream(id) != nullptr) {
    session_->Consume(&stream, whole.size());
  }
}

void RecordingHost::OnWritable(Stream& stream) {
  if (log_details) Log(absl::StrCat("writable ", stream.id()), &stream);
}

void RecordingHost::OnHello(const wire::Hello& peer) {
  peer_hello_ = peer;
  if (log_details) Log("hello", nullptr);
}

void RecordingHost::OnGoAway(wire::ErrorCode code, std::string_view reason) {
  last_text_ = std::string(reason);
  Log(absl::StrCat("goaway ", ToAbsl(wire::ToString(code))), nullptr);
}

void RecordingHost::OnClosed(wire::ErrorCode code, std::string_view reason) {
  EXPECT_FALSE(closed_told_) << "OnClosed twice";
  closed_told_ = true;
  last_text_ = std::string(reason);
  if (is_client_) {
    EXPECT_TRUE(streams_.empty()) << "streams that have not been told";
  }
  Log(absl::StrCat("closed ", ToAbsl(wire::ToString(code))), nullptr);
}

}  // namespace tern::testing
