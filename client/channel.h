#ifndef TERN_CLIENT_CHANNEL_H_
#define TERN_CLIENT_CHANNEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "tern/lib/call/compression.h"

namespace tern {

class ChannelCore;
class Interceptor;

struct ChannelOptions {
  // Of a unary call that gives no timeout and inherits no deadline, and whose
  // method has none in its .proto. Durations are from 1 ms to a year, here and
  // below; what makes no sense fails every call, INVALID_ARGUMENT, and names
  // the option.
  absl::Duration default_timeout = absl::Seconds(30);

  // Connecting: each address of the target gets connect_timeout; when all have
  // failed, the next round starts after the backoff, which grows from initial
  // to max by a factor of 1.6, each pause varied by 20 % either way, and starts
  // again from initial when the server has answered a call.
  absl::Duration connect_timeout = absl::Seconds(5);
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(10);

  // Calls that wait for a connection, or for their turn or a place on it. With
  // the next one, the one of the lowest priority, of these the one that came
  // last, fails RESOURCE_EXHAUSTED, NOT_STARTED. (Where calls are made faster
  // than the connection looks at them, the next one does.)
  size_t max_waiting_calls = 10'000;

  // Of one streaming call, written and not yet sent: above it, writing waits.
  size_t max_stream_unsent_bytes = 256 << 10;

  // A dead peer is noticed when a PING stays unanswered: sent after
  // keepalive_interval without a byte from the server while calls are
  // outstanding, and given keepalive_timeout. The server's announced minimum
  // ping interval is respected.
  absl::Duration keepalive_interval = absl::Seconds(20);
  absl::Duration keepalive_timeout = absl::Seconds(20);

  // Announced to the server in HELLO. A response message above
  // max_message_bytes ends its call RESOURCE_EXHAUSTED.
  uint32_t max_message_bytes = 4 << 20;
  uint32_t max_frame_bytes = 64 << 10;
  // What the server sends of a response before it needs leave for more: see
  // ServerOptions.
  uint32_t stream_window_bytes = (1 << 20) + (64 << 10);
  uint32_t connection_window_bytes = 4 << 20;
  // How far the window of a stream grows when the network holds more: see
  // ServerOptions.
  uint32_t max_stream_window_bytes = 16 << 20;

  // What stands around all calls, the first one nearest to the caller:
  // tern/lib/call/interceptor.h. None is null.
  std::vector<std::shared_ptr<Interceptor>> interceptors = {};

  // How messages may be compressed, announced to the server:
  // {ZstdCompressor(), GzipCompressor()}, see docs/compression.md. A response
  // counts as what it is when inflated. None: there is no compression at all.
  Compressors compressors = {};
  // Of calls that do not say, nor their method: CallOptions::compression.
  Compression compression = Compression::kNone;
  // Shorter requests (without their attachment) are sent as they are.
  size_t min_compressed_bytes = 1024;

  // A CRC32C behind each frame, both ways, if the server offers it: for paths
  // on which TCP's own checksum is too weak. What was sent before the server
  // said so (a connection's first calls, perhaps) goes without. A frame that
  // has changed on its way ends the connection, DATA_CORRUPT.
  bool checksums = false;
};

// A target and the one connection to it, shared by all callers and stubs; made
// lazily by the first call and made again when it was lost.
//
// Thread-safe. Destroying it ends outstanding calls with CANCELLED; each still
// completes exactly once (a callback may run after the destructor has returned,
// on the I/O thread). It may be destroyed from inside a call's callback.
class Channel {
 public:
  // target: "host:port", "10.0.0.7:7117", "[::1]:7117", "unix:/path" or
  // "dns:///host:port". A target that can't be read makes every call fail
  // INVALID_ARGUMENT with the reason.
  static std::unique_ptr<Channel> Create(std::string_view target,
                                         const ChannelOptions& options = {});
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  const std::string& target() const;

  // For the stub runtime.
  const std::shared_ptr<ChannelCore>& core() const { return core_; }

 private:
  explicit Channel(std::shared_ptr<ChannelCore> core);
  // Shared with calls in flight, which may outlive the Channel.
  const std::shared_ptr<ChannelCore> core_;
};

}  // namespace tern

#endif  // TERN_CLIENT_CHANNEL_H_
