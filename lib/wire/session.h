#ifndef TERN_LIB_WIRE_SESSION_H_
#define TERN_LIB_WIRE_SESSION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/wire/byte_buffer.h"
#include "tern/lib/wire/call_header.h"
#include "tern/lib/wire/fault_budget.h"
#include "tern/lib/wire/frame.h"
#include "tern/lib/wire/hello.h"
#include "tern/lib/wire/pieces.h"
#include "tern/lib/wire/send_buffer.h"
#include "tern/lib/wire/status_header.h"
#include "tern/lib/wire/stream.h"
#include "tern/lib/wire/stream_table.h"
#include "tern/lib/wire/urgent_streams.h"

namespace tern::wire {

enum class Role { kClient, kServer };

struct SessionOptions {
  Role role = Role::kClient;
  // What this side announces and holds its peer to. CheckHello(hello) is OK.
  // Of the features, CHECKSUM is used when both sides announce it. gzip and
  // zstd are the host's: it sends and is given COMPRESSED messages as they are.
  Hello hello;
  absl::Duration hello_timeout = absl::Seconds(5);
  absl::Duration frame_timeout = absl::Seconds(10);
  // A PING is sent after this long without a byte from the peer while calls
  // are open, and the connection given up when keepalive_timeout passes
  // without a byte after it. The peer's announced interval is kept.
  absl::Duration keepalive_interval = absl::InfiniteDuration();
  absl::Duration keepalive_timeout = absl::Seconds(20);
  // The windows of streams of messages grow up to here: see Session::Consume.
  int64_t max_stream_window_bytes = 16 << 20;
};

// What is known of the way to the peer, and of what this side can hold.
struct PathFacts {
  // There and back, of the network alone; zero: unknown.
  absl::Duration round_trip = absl::ZeroDuration();
  int64_t spare_bytes = INT64_MAX;  // Of memory, for all streams together.
};

// Of the peer's HELLO, what it holds this side to.
struct PeerLimits {
  explicit PeerLimits(const Hello& hello)
      : max_frame_bytes(hello.max_frame_bytes),
        max_message_bytes(hello.max_message_bytes),
        stream_window_bytes(hello.stream_window_bytes),
        max_concurrent_calls(hello.max_concurrent_calls),
        metadata(hello.metadata) {}

  uint32_t max_frame_bytes;
  uint32_t max_message_bytes;
  uint32_t stream_window_bytes;
  uint32_t max_concurrent_calls;
  MetadataLimits metadata;
};

// A message to send: `write` is called once, with room for `size` bytes, before
// the call that was given it returns.
struct OutgoingMessage {
  size_t size = 0;                // Attachment included.
  uint32_t attachment_bytes = 0;  // How many of the last are attachment.
  // Of a compressed one, as the header has named: the size that it would have
  // otherwise, which the peer's limit is for. 0: it is not.
  uint32_t inflated_bytes = 0;
  // Where the message lies already, if so: a long one is then sent from there,
  // without a copy, and the session keeps a share until it has been.
  const std::shared_ptr<const char[]>* shared = nullptr;
  // If it lies in pieces: those, none of them empty, in order; `shared` keeps
  // them all. A client may leave that out: they then stay what they are until
  // OnEnd() has been called for the stream, and the session copies what it has
  // not sent before.
  std::span<const std::string_view> pieces;
  absl::FunctionRef<void(char* buffer)> write;
};

// A message that came in whole. The views are valid during the callback.
struct IncomingMessage {
  std::string_view bytes;       // Without the attachment.
  std::string_view attachment;  // Lies behind those.
  // How `bytes` are compressed, by the number in the header; 0: not at all. A
  // host that announces none never sees another. How long they may become is
  // for it to check, and to call CountFault().
  uint32_t compression = 0;
  // Where both lie, when the message came in chunks: may be moved from. Else
  // nullptr.
  ByteBuffer* storage = nullptr;

  // Both, one behind the other, to keep: moved where they can be. The views are
  // not valid any more.
  ByteBuffer TakeBytes();
};

// Why a server's call is no longer wanted.
enum class CancelCause {
  kPeer,        // CANCEL.
  kDeadline,    // The status that the host finishes with is still sent.
  kFault,       // The peer broke the protocol on this stream.
  kConnection,  // The connection has ended.
};

// Why a client's call ended.
enum class EndCause {
  kPeer,   // STATUS or CANCEL.
  kLocal,  // Session::Cancel.
  kDeadline,
  kFault,       // The peer broke the protocol on this stream.
  kConnection,  // The connection has ended, or GOAWAY left the stream out.
};

// What a session tells its host. Called from inside the session's methods, on
// the host's thread. Inside a callback the host may call every method of the
// session but Receive, OnTime, OnTransportClosed and the destructor.
//
// A Stream is valid: on a server from OnCall until the host calls Finish for
// it, which it does exactly once for every stream, whatever else happens; on a
// client from Start until OnEnd has returned, which is called exactly once for
// every stream.
class SessionVisitor {
 public:
  virtual ~SessionVisitor() = default;

  // Server: a call has begun; `header`'s views are valid during the callback.
  // The host says how many messages it may have (`*shape` is unary when not
  // set), or refuses it by calling Finish.
  virtual void OnCall(Stream& /*stream*/, const CallHeader& /*header*/,
                      CallShape* /*shape*/) {}
  // Server: a call above hello.max_concurrent_calls is refused with `*status`,
  // to which the host may add when to try again, and its load.
  virtual void OnExcessCall(StatusHeader* /*status*/) {}
  // Server: the request is complete. A unary call has had exactly one message
  // then.
  virtual void OnHalfClose(Stream& /*stream*/) {}
  // Server: at most once for a stream. Finish is still owed. After kDeadline
  // messages and half-close may still come.
  virtual void OnCancel(Stream& /*stream*/, CancelCause /*cause*/) {}

  // Client.
  virtual void OnResponseHeader(Stream& /*stream*/,
                                const ResponseHeader& /*header*/) {}
  // Client: a unary call that ended OK has had exactly one message.
  virtual void OnEnd(Stream& stream, const StatusHeader& status,
                     EndCause cause) = 0;

  // A message of `length` bytes, cut in chunks, is about to come in: false
  // refuses it, and its stream ends RESOURCE_EXHAUSTED. Called once for such a
  // message; the host takes the memory back when the stream ends.
  virtual bool OnMessageStart(Stream& /*stream*/, uint32_t /*length*/) {
    return true;
  }
  // `bytes` more of such a message have come, and are to be held: false
  // likewise. So memory is only taken for what a peer has really sent.
  virtual bool OnMessageChunk(Stream& /*stream*/, size_t /*bytes*/) {
    return true;
  }
  virtual void OnMessage(Stream& stream, IncomingMessage& message) = 0;
  // What was queued on the stream has come below Session::kLowQueueBytes, or
  // has all been appended.
  virtual void OnWritable(Stream& /*stream*/) {}

  // Asked a hundred times a second at most for each stream that carries much.
  virtual PathFacts GetPathFacts() { return {}; }

  virtual void OnHello(const Hello& /*peer*/) {}
  // Client: no new calls on this connection any more.
  virtual void OnGoAway(ErrorCode /*code*/, std::string_view /*reason*/) {}
  // The session is over: send what Output() gives, then close. All streams
  // have been told. kNoError after a drain.
  virtual void OnClosed(ErrorCode /*code*/, std::string_view /*reason*/) {}
};

// One end of one connection: the protocol of proto/PROTOCOL.md as a state
// machine without I/O, threads or a clock of its own. Bytes and the time go in;
// visitor calls and bytes to send come out. Everything that a peer sends is
// checked here, and every limit of the protocol is enforced here.
//
// Deterministic, and not thread-safe: whoever holds the connection's lock
// drives it.
class Session {
 public:
  // Options and visitor outlive the session: idle ones are many, and all of a
  // server's have the same options.
  Session(const SessionOptions* options, SessionVisitor* visitor,
          MonotonicTime now);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- Bytes ---------------------------------------------------------------

  // Takes bytes from the peer, cut anywhere.
  void Receive(std::string_view bytes, MonotonicTime now);
  // Where the next bytes belong, when they are the rest of a long frame: then
  // they may be read there, piece after piece, and ReceivedInto called, which
  // saves a copy of them. Else empty. Valid until the next call of any method.
  InputPieces ReceiveInto();
  // How many bytes are still to come of the long message that comes in, and may
  // come without anything that this side must say before. 0 when there is none,
  // in the middle of a short frame or one with a checksum, and beside other
  // streams, whose bytes may be among them.
  size_t AwaitedBytes() const {
    return direct_ == nullptr && ahead_ == 0 ? 0 : AwaitedOfMessage();
  }
  // The first `size` bytes of ReceiveInto() are the next ones from the peer:
  // the same as Receive.
  void ReceivedInto(size_t size, MonotonicTime now);
  // What to send now, empty when there is nothing; valid until the next call of
  // any method but ReceiveInto. Fills up from the streams that are waiting, in
  // turns, to about kOutputTargetBytes.
  OutputPieces Output();
  // The first `size` bytes of Output() are in the kernel's hands.
  void Sent(size_t size);
  // Bytes that the transport has not taken yet.
  size_t output_bytes() const { return out_.size(); }
  // Bytes not yet sent, those that wait for windows included.
  size_t unsent_bytes() const { return out_.size() + queued_bytes_; }
  // The transport has ended without the session's doing: ends every stream.
  void OnTransportClosed(std::string_view reason, MonotonicTime now);
  // The host does not read for a while (or does again): what the peer sends in
  // time then counts as sent in time.
  void PauseReceiving(bool paused, MonotonicTime now);
  // No more bytes are taken or made, beyond what Output() still has.
  bool closed() const { return closed_; }

  // --- Time ----------------------------------------------------------------

  // Ends what is due. To be called at NextTimeout(), or at any other time.
  void OnTime(MonotonicTime now);
  MonotonicTime NextTimeout() const;

  // --- Calls ---------------------------------------------------------------

  // Client: why Start would not begin a call now. kFull passes when a call
  // ends.
  enum class StartBlock { kNone, kFull, kClosing };
  StartBlock CanStart() const;

  // Client: begins a call, with its first message (may be null) and perhaps
  // half-closes it. header.timeout_us is computed from `deadline`. What the
  // peer's limits rule out fails here and nothing is sent: RESOURCE_EXHAUSTED
  // or INVALID_ARGUMENT, with the numbers; DEADLINE_EXCEEDED when `deadline` is
  // not after `now`. REQUIRES: CanStart() == kNone.
  absl::Status Start(CallHeader& header, CallShape shape,
                     MonotonicTime deadline, void* user,
                     const OutgoingMessage* message, bool half_close,
                     MonotonicTime now, Stream** stream);
  // Client: ends the call with `code` and tells the server. OnEnd is called
  // inside.
  void Cancel(Stream* stream, absl::StatusCode code, std::string_view reason);

  // Sends one more message of a stream; queued when the windows are too small.
  // RESOURCE_EXHAUSTED when it is above the peer's limit: nothing is sent then.
  // Ignored on a stream that has ended.
  absl::Status SendMessage(Stream* stream, const OutgoingMessage& message,
                           bool half_close);
  // Bytes of messages that wait in the stream's queue. Whoever sends many keeps
  // them bounded, and goes on at OnWritable.
  size_t QueuedBytes(const Stream* stream) const;
  // Client: no more messages.
  void HalfClose(Stream* stream);
  // Server: before the first message.
  absl::Status SendResponseHeader(Stream* stream, const ResponseHeader& header);

  // Server: ends the call with `status`, and before it the response message of
  // a unary call (null: none). The stream is gone for the host. A message, or
  // the metadata of an OK, above the client's limits: RESOURCE_EXHAUSTED or
  // INVALID_ARGUMENT is sent in their place, FINISHED, with the numbers, and
  // returned. An error loses such metadata. After the deadline nothing waits
  // for windows: what does not fit is DEADLINE_EXCEEDED.
  absl::Status Finish(Stream* stream, const StatusHeader& status,
                      const OutgoingMessage* message);

  // The host has dealt with `bytes` of the messages of a streaming direction:
  // the peer may send as many more. Where the window is smaller than what the
  // way there and back holds, and so keeps the peer waiting, it grows (see
  // SessionVisitor::GetPathFacts).
  void Consume(Stream* stream, size_t bytes);

  // The host has found that a message breaks the rules that only it can check,
  // and ended its call: a point of the peer's budget.
  void CountFault(const char* what);

  // --- The connection ------------------------------------------------------

  // Server: the two phases of PROTOCOL.md, section 9, once the client has said
  // HELLO. OnClosed(kNoError) when the last call has ended.
  void Drain(std::string_view reason, MonotonicTime now);
  // Ends the connection now: GOAWAY, every stream told, OnClosed.
  void Close(ErrorCode code, std::string_view reason);

  // The time that the session was last told.
  MonotonicTime now() const { return now_; }
  const Hello& local_hello() const { return options_.hello; }
  bool has_peer_hello() const { return has_peer_hello_; }
  // What that said (OnHello's has all of it), or the defaults.
  const PeerLimits& peer_limits() const { return peer_; }
  // Whether the peer has announced it, by the number in a header.
  bool PeerInflates(uint32_t compression) const {
    return compression <= kMaxCompression &&
           (peer_compressions_ >> compression & 1) != 0;
  }
  size_t open_streams() const { return streams_.size(); }
  bool draining() const { return drain_ != nullptr; }
  // Calls `function` for each stream that the host still has; it may end any of
  // them.
  void ForEachStream(absl::FunctionRef<void(Stream&)> function);
  // Memory held for messages that are not yet complete.
  size_t assembling_bytes() const { return assembling_bytes_; }

  // Gives back memory that is only kept for speed; called when idle.
  void ReleaseMemory();

  static constexpr size_t kOutputTargetBytes = 256 << 10;
  static constexpr size_t kLowQueueBytes = 64 << 10;  // Of one stream.
  // A stream's consumed bytes are given back by so many or by half a window,
  // whichever is less: a sender that gives way waits for them.
  static constexpr int64_t kCreditBytes = 64 << 10;

  // Client: why a call ends by its deadline before it is a stream.
  static constexpr std::string_view kLateToStart =
      "deadline exceeded at the client before the call was sent";
  // A long stream has so many on the way, at most, for as long after another
  // call has begun on the connection: what is ahead of that call's messages
  // delays them.
  static constexpr int64_t kBesideCallsBytes = 128 << 10;
  static constexpr int64_t kBesideCallsNs = 10'000'000;
  static constexpr uint32_t kMaxChunkFrameBytes = 64 << 10;
  static constexpr uint32_t kMinChunkBytes = 1024;
  // Shorter parts of messages are copied, where longer ones are sent and
  // received without: a piece more in a system call, or one more of those,
  // would cost about as much.
  static constexpr uint32_t kMinDirectBytes = 4096;

 private:
  // What PINGs of our own carry.
  static constexpr uint64_t kKeepalivePing = 1;
  static constexpr uint64_t kDrainPing = 2;

  struct Drainage {
    std::string reason;
    // When the final GOAWAY follows the first at the latest, or what has not
    // said HELLO is turned away; nothing is due once it is `final`.
    MonotonicTime final_at;
    bool final = false;
    bool acknowledged = false;  // The client knows of it.
  };
  bool draining_finally() const { return draining() && drain_->final; }
  // What streams that carry much need.
  struct BulkFlow {
    int64_t connection_window = 0;  // What the peer is granted.
    std::vector<StreamId> held;     // Those that give way ...
    MonotonicTime held_until;       // ... and for how long.
  };
  // What most peers never make us need.
  struct Oddities {
    FaultBudget faults;
    PingThrottle pings;
    std::unique_ptr<UrgentStreams> urgent;
    BulkFlow bulk;
  };
  Oddities& oddities() {
    if (oddities_ == nullptr) oddities_ = std::make_unique<Oddities>();
    return *oddities_;
  }
  BulkFlow& bulk() { return oddities().bulk; }
  // What a session that ends still sends.
  enum class Farewell {
    kGoAway,   // What is in out_, and why it ends.
    kFlush,    // What is in out_.
    kNothing,  // Nobody reads it.
  };
  // An entry from the host. The outermost one reclaims the streams that earlier
  // ones have ended.
  class Entry {
   public:
    explicit Entry(Session* session) : session_(session) {
      if (session_->entries_++ == 0) session_->streams_.Reclaim();
    }
    ~Entry() { --session_->entries_; }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    Session* const session_;
  };
  struct Frame {
    FrameHeader header;
    std::string_view block;
    std::string_view payload;
  };
  struct Chunk;

  // session_receive.cc: each handler below may end the stream or the session.
  std::string_view ReceivePreface(std::string_view bytes);
  void ReceiveBytes(std::string_view bytes);
  std::string_view ReceiveRest(std::string_view bytes);
  void ReservePartial(const FrameHeader& header, size_t more);
  void ReceivePartialFrame();
  bool BeginDirect(const FrameHeader& header);
  std::string_view ReceiveDirectRest(std::string_view bytes);
  void ReceiveDirectFrame();
  void LeaveDirect();
  InputPieces DirectPieces(Stream::Assembly& assembly);
  size_t AwaitedOfMessage() const;
  void ReceivedDirect(size_t size);
  static ByteBuffer Regather(const Stream::Assembly& assembly, size_t i,
                             size_t offset, size_t frame_bytes, size_t size);
  void NoteReceived(MonotonicTime now);
  bool CheckHeader(const FrameHeader& header);
  bool RefuseFrame(std::string_view why);  // False, as are the next ones'.
  bool RefuseLength(uint32_t length);
  bool RefuseType(uint8_t type);
  bool RefuseStreamId(StreamId id);
  bool RefusePayload(size_t bytes, int64_t left, StreamId stream);
  std::string_view CheckChecksum(std::string_view bytes);
  void ReceiveFrame(const FrameHeader& header, std::string_view bytes);
  void ReceiveBody(const FrameHeader& header, std::string_view body);
  void ReceiveHello(const Frame& frame);
  void ReceiveClientHeaders(const Frame& frame);
  void ReceiveSecondHeaders(StreamId id);
  void RefuseExcessCall(StreamId id);
  void RefuseUnsupportedCall(StreamId id, const CallHeader& header);
  void ReceiveServerHeaders(const Frame& frame);
  void ReceiveData(const Frame& frame);
  void ReceiveStatus(const Frame& frame);
  void ReceiveCancel(const Frame& frame);
  void ReceiveWindow(const Frame& frame);
  void ReceivePing(const Frame& frame);
  void ReceiveGoAway(const Frame& frame);
  bool ChargeConnectionWindow(size_t bytes);
  bool ChargeStreamWindow(Stream& stream, size_t bytes);
  Stream* FindForFrame(const Frame& frame);
  void ReceivePayload(Stream& stream, const Frame& frame);
  bool ReceiveChunk(Stream& stream, Chunk chunk);
  void ReceiveFirstChunk(Stream& stream, const Chunk& chunk);
  void ReceiveLaterChunk(Stream& stream, const Chunk& chunk);
  bool MayBegin(Stream& stream, size_t length);
  void FailSecondMessage(Stream& stream);
  void FailLongMessage(Stream& stream, size_t length);
  void FailWithoutMemory(Stream& stream, size_t length);
  void FailStatus(Stream& stream, std::string_view why);
  bool CheckEmptyChunk(Stream& stream, bool empty);
  // Whether any number of messages may come on it.
  bool ReceivesStream(const Stream& stream) const {
    return is_client() ? stream.shape_.server_streaming
                       : stream.shape_.client_streaming;
  }
  static void ReserveAssembly(Stream::Assembly& assembly, size_t more);
  static void AppendToAssembly(Stream::Assembly& assembly,
                               std::string_view bytes);
  void StartAssembly(Stream& stream, const Chunk& chunk);
  void DeliverMessage(Stream& stream, std::string_view bytes,
                      uint32_t attachment_bytes, uint32_t compression,
                      ByteBuffer* storage);
  // What a header has named: it counts when we have announced it.
  uint8_t ReceiveCompression(uint32_t named) const {
    return named <= kMaxCompression &&
                   (options_.hello.features & kCompressionFeatures) >> named & 1
               ? static_cast<uint8_t>(named)
               : 0;
  }
  void OnPeerHalfClosed(Stream& stream);
  // One point of the budget; false when that closed the session.
  bool Fault(const char* what);

  // session_send.cc
  // Returns where the header block is to be written, and the payload behind it.
  // `shared_bytes` of payload are not for there: AppendShared follows.
  char* AppendFrame(FrameType type, uint8_t flags, StreamId stream,
                    size_t block_bytes, size_t payload_bytes,
                    size_t shared_bytes = 0);
  // Whether `size` bytes of a message are sent from where they lie.
  bool Shares(size_t size) const {
    // A checksum is computed where the whole frame is in one piece.
    return size >= kMinDirectBytes && checksum_bytes_ == 0;
  }
  // Writes the checksum of the last frame, whose payload is there by then.
  void SealFrame() {
    if (unsealed_bytes_ != 0) WriteChecksum();
  }
  void WriteChecksum();
  void AppendWindow(StreamId stream, uint32_t increment);
  void AppendGoAway(StreamId last, ErrorCode code, std::string_view reason);
  void AppendPing(uint64_t payload, bool ack);
  void AppendStatusFrame(StreamId stream, FrameType type,
                         const StatusHeader& status);
  bool FitsOneFrame(const Stream& stream, size_t block_bytes,
                    const OutgoingMessage& message) const;
  void AppendGreeting();  // Preface and HELLO.
  char* AppendMessageFrame(FrameType type, Stream& stream, size_t block_bytes,
                           const OutgoingMessage& message, uint8_t flags);
  char* AppendSharedMessageFrame(FrameType type, Stream& stream,
                                 size_t block_bytes,
                                 const OutgoingMessage& message, uint8_t flags);
  // Takes it from the windows.
  void CountPayload(Stream& stream, size_t bytes) {
    stream.send_window_ -= static_cast<int64_t>(bytes);
    send_window_ -= static_cast<int64_t>(bytes);
    ++payload_frames_sent_;
  }
  void QueueMessage(Stream& stream, const OutgoingMessage& message,
                    bool end_stream);
  Stream::SendQueue& QueueOf(Stream& stream);
  void MakeReady(Stream& stream);
  // Of streams with a priority, and of one that loses its turn.
  UrgentStreams& urgent();
  StreamId TakeUrgent();
  void KeepTurn(Stream& stream);
  void LoseTurn(Stream& stream);
  bool SendChunk(Stream& stream);
  // Whether it is to send nothing now, so that other calls are not delayed. (A
  // stream with a priority may do that.)
  bool GivesWay(Stream& stream) {
    return CoarseTime(now_) - last_opened_ <= kBesideCallsNs >> kCoarseShift &&
           stream.priority_ == 0 && GivesWayToCalls(stream);
  }
  bool GivesWayToCalls(Stream& stream);
  // Milliseconds, nearly, modulo 50 days.
  static constexpr int kCoarseShift = 20;
  static uint32_t CoarseTime(MonotonicTime time) {
    return static_cast<uint32_t>(time.nanoseconds() >> kCoarseShift);
  }
  Stream::Flow& FlowOf(Stream& stream);
  void EndGivingWay();
  void TuneWindow(Stream& stream, int64_t consumed);
  void GrowConnectionWindow(int64_t stream_window);
  void FlushQueueEnd(Stream& stream);
  void DropSendQueue(Stream& stream);
  // Client: what makes up the request is in out_.
  void NoteRequestEnd(Stream& stream);
  void Pump();
  void NotePeerLimits(const Hello& peer);
  absl::Status BlockTooLong(size_t bytes) const;
  absl::Status CheckMetadata(
      const std::vector<MetadataEntryView>& metadata) const;
  bool Allows(const OutgoingMessage& message) const {
    return message.size <= peer_.max_message_bytes &&
           message.inflated_bytes <= peer_.max_message_bytes;
  }
  absl::Status MessageTooLong(const OutgoingMessage& message) const;
  // Why a message is refused, by whichever end: whose limit it is, and how that
  // is called in HELLO and among the options of both.
  static std::string TooLong(bool request, std::string_view size,
                             uint32_t limit);
  ABSL_ATTRIBUTE_NOINLINE absl::Status FinishChecked(
      Stream& stream, const StatusHeader& given,
      const OutgoingMessage* message);
  void SendEnd(Stream& stream, const StatusHeader& status,
               const OutgoingMessage* message);
  static constexpr std::string_view kLateResponse =
      "deadline exceeded at the server: the response could not be sent in time";

  // session.cc
  Stream* Open(StreamId id, MonotonicTime deadline);
  // Out of the table; the object lives until the next entry, so that callers
  // up the stack can see that it is gone.
  void Remove(Stream& stream);
  // Remove, and what follows from it.
  void Erase(Stream& stream);
  // Nothing more may be told of it, or said on it.
  bool Gone(const Stream& stream) const {
    return closed_ || stream.wire_ended_ || stream.host_done_;
  }
  void DropAssembly(Stream& stream);
  // Ends a stream with a status of its own: STATUS from a server, CANCEL from a
  // client. `peer_at_fault` costs the peer a point.
  void FailStream(Stream& stream, absl::StatusCode code,
                  std::string_view message, bool peer_at_fault = true);
  void RefuseCall(StreamId id, absl::StatusCode code, std::string_view message);
  void EndClientStream(Stream& stream, const StatusHeader& status,
                       EndCause cause);
  void TellCancelled(Stream& stream, CancelCause cause);
  void EndAllStreams(absl::StatusCode code, std::string_view reason,
                     bool nothing_started, uint64_t sent);
  void EndExcludedStreams(std::string_view reason);
  void ExpireStreams();
  void ExpireServerStream(Stream& stream);
  bool AboveAnnouncedCalls(StreamId id) const;
  void AnnounceDrain();
  void EndFirstPhase();
  void MaybeFinishDrain();
  void CloseWith(ErrorCode code, std::string_view reason,
                 absl::StatusCode stream_code, Farewell farewell,
                 bool nothing_started);
  MonotonicTime KeepaliveTime() const;

  bool is_client() const { return is_client_; }

  const SessionOptions& options_;
  SessionVisitor* const visitor_;
  MonotonicTime now_;
  const bool is_client_;
  bool closed_ = false;

  // Receiving.
  bool has_peer_hello_ = false;
  bool receiving_paused_ = false;
  uint8_t preface_received_ = 0;   // Bytes.
  uint8_t peer_compressions_ = 0;  // Of the peer's features.
  bool has_urgent_ = false;        // See ready_.
  PeerLimits peer_{Hello()};
  // A frame that is not complete yet: here ...
  ByteBuffer partial_;
  // ... or, when it is a long chunk of a message that has begun to come in, its
  // header, and its payload behind what its stream has of the message.
  Stream* direct_ = nullptr;
  FrameHeader direct_header_;
  // The stream of the last frame that was received, when that was a chunk and
  // its message goes on; else 0.
  StreamId ahead_ = 0;
  bool in_frame() const { return !partial_.empty() || direct_ != nullptr; }
  MonotonicTime frame_since_;
  MonotonicTime started_at_;
  MonotonicTime last_receive_;
  int64_t receive_window_ = 0;    // What the peer may still send.
  int64_t unreturned_bytes_ = 0;  // Credit owed to it.
  size_t assembling_bytes_ = 0;

  // Sending. What the peer's HELLO sets:
  uint32_t checksum_bytes_ = 0;   // Behind each frame.
  uint32_t max_block_bytes_ = 0;  // Of a header block ...
  uint32_t max_body_bytes_ = 0;   // ... and, with payload, of a frame of ours.
  SendBuffer out_;
  // How many of out_'s last bytes are a frame whose checksum is missing.
  size_t unsealed_bytes_ = 0;
  int64_t send_window_ = Hello::kMinConnectionWindowBytes;
  size_t queued_bytes_ = 0;
  // Streams with something to send, in turn. Those of a priority above 0 are in
  // oddities_->urgent.
  std::vector<StreamId> ready_;

  // Streams.
  StreamTable streams_;
  int entries_ = 0;           // On the stack.
  StreamId highest_id_ = 0;   // Of those that the client has opened.
  StreamId next_id_ = 1;      // Client.
  uint32_t last_opened_ = 0;  // When a stream was, in CoarseTime.
  // No stream's deadline is earlier.
  MonotonicTime earliest_deadline_ = MonotonicTime::InfiniteFuture();

  // The connection's end.
  std::unique_ptr<Drainage> drain_;      // Server: from Drain() on.
  StreamId goaway_last_ = kMaxStreamId;  // The lowest sent or received.
  bool goaway_received_ = false;

  // Behaviour of the peer.
  std::unique_ptr<Oddities> oddities_;  // From the first one on.
  RapidCancelDetector rapid_cancels_;
  uint64_t window_frames_received_ = 0;
  uint64_t payload_frames_sent_ = 0;

  // Keepalive.
  int64_t keepalive_interval_ns_ = INT64_MAX;  // With the peer's HELLO.
  MonotonicTime busy_since_;  // When streams_ stopped being empty.
  MonotonicTime ping_sent_at_ = MonotonicTime::InfiniteFuture();
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_SESSION_H_
