#ifndef TERN_SERVER_SERVER_H_
#define TERN_SERVER_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tern/server/server_options.h"
#include "tern/server/service.h"

namespace tern {

class ServerCore;

// Serves services on one or more addresses.
//
//   tern::Server server({.listen = {"[::]:7117"}});
//   server.Register(&store);
//   if (absl::Status status = server.Start(); !status.ok()) ...
//   server.Wait();
//
// Register before Start, on one thread; everything else is thread-safe.
class Server {
 public:
  explicit Server(ServerOptions options);
  // Stop().
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // `service` outlives the server. Two services of one name: Start() fails.
  void Register(Service* service);

  // Listens on every address, or on none (one thread at a time): the error
  // names the address and errno's text (a port in use: FAILED_PRECONDITION).
  // May be called again after a failure. INVALID_ARGUMENT for options that make
  // no sense.
  absl::Status Start();

  // The addresses that it listens on, with the ports chosen for port 0:
  // "127.0.0.1:40123".
  std::vector<std::string> addresses() const;
  // The port of the first TCP address; 0 when there is none.
  uint16_t port() const;

  // Waits until the server has stopped. When options.drain_on_signals
  // (default), SIGTERM or SIGINT meanwhile drains it with options.drain_grace;
  // a second one stops it at once. A signal that this thread has blocked since
  // before Start() is taken too, so that none is lost between the two.
  void Wait();

  // Stops listening, tells the clients and the handlers
  // (ServerContext::OnDrain), lets the calls in flight finish; those that still
  // run after `grace` are cancelled, and the log lists them. Then as Stop().
  // Returns when
  // that is done, at most about a second after the grace, unless handlers do
  // not heed cancellation: OK when every call finished by itself, else
  // DEADLINE_EXCEEDED with the number of those that were cancelled. On a
  // handler's thread it only begins the drain and returns OK.
  // FAILED_PRECONDITION when the server is not running or drains already.
  absl::Status Drain(absl::Duration grace);

  // Cancels calls and closes connections. No handler runs and no callback is
  // called after it has returned; it waits for handlers that are running, and
  // for those that have not answered yet.
  // Idempotent. Not from a handler.
  void Stop();

 private:
  std::unique_ptr<ServerCore> core_;
};

}  // namespace tern

#endif  // TERN_SERVER_SERVER_H_
