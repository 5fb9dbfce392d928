#ifndef TERN_LIB_WIRE_STREAM_H_
#define TERN_LIB_WIRE_STREAM_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/wire/byte_buffer.h"
#include "tern/lib/wire/frame.h"

namespace tern::wire {

// How many messages a call has in each direction: one, or any number.
struct CallShape {
  bool client_streaming = false;
  bool server_streaming = false;
};

// One call on a connection, as its Session sees it. The session owns it; see
// SessionVisitor for how long a host may keep a pointer to one.
class Stream {
 public:
  StreamId id() const { return id_; }
  MonotonicTime deadline() const { return deadline_; }
  MonotonicTime opened_at() const { return opened_at_; }

  // The host's own, untouched by the session.
  void* user = nullptr;

 private:
  friend class Session;
  friend class StreamTable;

  // A message whose chunks are still coming in.
  struct Assembly {
    ByteBuffer bytes;
    // Behind those: of a frame that is not complete, see Session::direct_.
    uint32_t more_bytes = 0;
    uint32_t frame_bytes = 0;  // The payload of its last frame.
    // See Session::DirectPieces.
    static constexpr size_t kMaxAhead = 8;
    bool read_ahead = true;
    char next_headers[kMaxAhead][kFrameHeaderBytes];
    uint32_t length = 0;
    uint32_t attachment_bytes = 0;
    bool compressed = false;
  };

  // A message that is on its way out, serialised.
  struct QueuedMessage {
    // The next bytes of it, `most` or fewer but at least one. REQUIRES: there
    // are any.
    std::string_view Take(size_t most) {
      if (piece.empty()) piece = more[next++];
      const std::string_view taken = piece.substr(0, most);
      piece.remove_prefix(taken.size());
      return taken;
    }

    std::string_view piece;  // Of which the first bytes have been sent ...
    std::vector<std::string_view> more;  // ... and those behind it.
    size_t next = 0;                     // Of `more`.
    // Of all pieces; nullptr: the host keeps them as long as the stream.
    std::shared_ptr<const char[]> owner;
    size_t size = 0;
    size_t sent = 0;
    uint32_t attachment_bytes = 0;
    bool compressed = false;
    bool end_stream = false;
  };
  // What waits for windows or for its turn. Allocated when something does.
  struct SendQueue {
    std::deque<QueuedMessage> messages;
    size_t bytes = 0;          // Of those, not yet sent.
    bool half_close = false;   // After the messages, in a DATA frame.
    bool finish = false;       // After the messages: STATUS ...
    std::string status_block;  // ... with this header block.
  };

  // Of a stream that carries much.
  struct Flow {
    // Receiving: see Session::TuneWindow.
    int64_t window = 0;   // What the peer is granted.
    int64_t bytes = 0;    // Consumed ...
    MonotonicTime since;  // ... from then on.
    // Sending: see Session::GivesWay.
    MonotonicTime credited_at;  // The last WINDOW, or when this was made.
    bool held = false;          // In the session's list.
  };

  StreamId id_ = 0;
  CallShape shape_;
  MonotonicTime deadline_ = MonotonicTime::InfiniteFuture();

  // Nothing more is sent or taken in: STATUS or CANCEL has gone either way, or
  // the connection has ended.
  bool wire_ended_ = false;
  bool receive_ended_ = false;     // The peer has half-closed.
  bool send_ended_ = false;        // This side has, or has queued it.
  bool host_done_ = false;         // The host has no pointer to it any more.
  bool cancel_told_ = false;       // Server: OnCancel has been called.
  bool ready_ = false;             // In the session's list of senders.
  bool empty_chunk_ = false;       // The last chunk was empty and no end.
  bool headers_received_ = false;  // Client: a ResponseHeader has come.
  bool status_received_ = false;   // Client: the frame at hand is its STATUS.
  bool lends_ = false;             // Client: see OutgoingMessage::pieces.
  // How the peer's COMPRESSED messages are: named in its header, and announced
  // by us. 0: there may be none.
  uint8_t receive_compression_ = 0;
  uint8_t priority_ = 0;  // Of the call.

  uint32_t messages_received_ = 0;
  int64_t send_window_ = 0;
  int64_t receive_window_ = 0;
  MonotonicTime opened_at_;
  int64_t unconsumed_bytes_ = 0;  // Delivered, not given back by Consume().
  // Client: the connection's byte behind the last one that a server needs to
  // start the handler: the whole request of a unary call, the header of
  // another. kNotAppended while that has not all been appended.
  static constexpr uint64_t kNotAppended = UINT64_MAX;
  uint64_t request_end_ = kNotAppended;

  // Shared with the session while it reads into it.
  std::shared_ptr<Assembly> assembly_;
  std::unique_ptr<SendQueue> send_queue_;
  std::unique_ptr<Flow> flow_;

  Stream* next_ = nullptr;  // StreamTable's.
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_STREAM_H_
