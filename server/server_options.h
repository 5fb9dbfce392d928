#ifndef TERN_SERVER_SERVER_OPTIONS_H_
#define TERN_SERVER_SERVER_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tern/lib/call/compression.h"
#include "tern/lib/call/method_info.h"

namespace tern {
namespace net {
// Not included: its headers are a tenth of what a small server compiles.
struct ConnectionOptions;
}  // namespace net

class Interceptor;

// Every limit has a default and a unit; 0 never means "unlimited" (Start()
// refuses it).
struct ServerOptions {
  // "host:port", "0.0.0.0:7117", "[::]:7117" (both IPv6 and IPv4),
  // "unix:/path"; port 0 chooses one. A name listens on all its addresses.
  // "fd:3" is a socket that this process has inherited and that listens
  // already, for restarts that lose no connection: docs/restart.md. The server
  // uses a descriptor of its own; number 3 stays open.
  std::vector<std::string> listen = {};

  // I/O threads, each with its share of the connections; -1: one per core.
  int loop_threads = -1;
  // Threads that run handlers, which may block; -1: the larger of 8 and 4 per
  // core.
  int worker_threads = -1;
  // Of methods whose .proto does not say (proto/tern/method.proto, runs).
  HandlerThreads handler_threads = HandlerThreads::kAdaptive;
  // Calls that wait for a worker. When full, the call of the lowest priority
  // with the latest deadline is refused RESOURCE_EXHAUSTED, NOT_STARTED, with
  // retry-after.
  size_t max_queued_calls = 1024;

  // Handlers of streaming methods have a thread each while they run, started
  // when it is needed; so many at once. More streaming calls are refused
  // RESOURCE_EXHAUSTED, NOT_STARTED, with retry-after.
  int max_stream_threads = 256;
  // Of one streaming call, written by its handler and not yet sent: above it,
  // writing waits.
  size_t max_stream_unsent_bytes = 256 << 10;

  size_t max_connections = 10'000;  // More: GOAWAY(OVERLOADED).
  // Memory for request messages in flight, all connections together. -1: a
  // quarter of the memory limit that the process sees (cgroup or machine).
  // Beyond it calls are refused RESOURCE_EXHAUSTED, NOT_STARTED.
  int64_t max_request_memory_bytes = -1;

  // Per connection, announced to clients.
  uint32_t max_concurrent_calls = 1024;
  uint32_t max_message_bytes = 4 << 20;  // Of requests.
  uint32_t max_frame_bytes = 64 << 10;
  // What a client sends of a request before it needs leave for more. A longer
  // message is given that as soon as its length has been accepted, and so does
  // not come to a stop, if a window takes longer than the way there and back.
  uint32_t stream_window_bytes = (1 << 20) + (64 << 10);
  uint32_t connection_window_bytes = 4 << 20;
  // A stream whose messages are read as fast as they come, over a network that
  // holds more than its window, is given more: up to here, and an eighth of the
  // memory for requests that is not in use. (Its connection's window grows with
  // it.) Not more than stream_window_bytes: windows stay as they are.
  uint32_t max_stream_window_bytes = 16 << 20;
  absl::Duration min_ping_interval = absl::Seconds(10);
  // Of a call's request. (For trailing metadata the client's limits hold.)
  uint32_t max_metadata_bytes = 16 << 10;
  uint32_t max_metadata_entries = 64;

  // How messages may be compressed, announced to clients:
  // {ZstdCompressor(), GzipCompressor()}, see docs/compression.md. A request
  // counts as what it is when inflated. None: there is no compression at all.
  Compressors compressors = {};
  // Of replies. A client that compresses its requests is answered in the same
  // way; one that does not, as the method's .proto says or in this way, if it
  // can inflate that.
  Compression compression = Compression::kNone;
  // Shorter messages (without their attachment) are sent as they are.
  size_t min_compressed_bytes = 1024;

  // Whether clients that ask for it get a CRC32C behind each frame, both ways:
  // see ChannelOptions::checksums.
  bool checksums = true;

  // Per connection, not announced.
  // Bytes of answers that a client has not taken. Above it, its requests wait,
  // the most urgent of them to go on first; when they are in the way of the
  // socket itself, nothing more is read from it.
  size_t max_unsent_bytes = 4 << 20;
  absl::Duration hello_timeout = absl::Seconds(5);
  absl::Duration frame_timeout =
      absl::Seconds(10);  // From a frame's first byte to its last.
  absl::Duration write_timeout =
      absl::Seconds(30);  // Without a byte taken by the peer.

  // A connection that has been there for so long, give or take 10 %, is
  // drained: its client connects anew for its next calls (to another server,
  // where names or balancers say so), those that it has may finish within the
  // grace; then they are cancelled, and the log lists them. (When the server
  // drains meanwhile, at the end of whichever grace is over first.) Each is
  // from 1 ms to 30 days, or InfiniteDuration().
  absl::Duration max_connection_age = absl::InfiniteDuration();
  absl::Duration max_connection_age_grace = absl::Minutes(1);

  // What stands around the handlers of all calls, the first one outermost:
  // tern/lib/call/interceptor.h. None is null.
  std::vector<std::shared_ptr<Interceptor>> interceptors = {};

  // Wait()
  bool drain_on_signals = true;
  absl::Duration drain_grace = absl::Seconds(10);
};

// OK, or INVALID_ARGUMENT that names the option and its range.
absl::Status CheckServerOptions(const ServerOptions& options);

// What a connection of such a server is told. Thread counts and memory are
// filled in by ResolveServerDefaults before.
net::ConnectionOptions ToConnectionOptions(const ServerOptions& options,
                                           const std::string& instance_id);

// -1 replaced by what it stands for on this machine.
ServerOptions ResolveServerDefaults(ServerOptions options);

}  // namespace tern

#endif  // TERN_SERVER_SERVER_OPTIONS_H_
