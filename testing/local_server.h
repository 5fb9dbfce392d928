#ifndef TERN_TESTING_LOCAL_SERVER_H_
#define TERN_TESTING_LOCAL_SERVER_H_

#include <initializer_list>
#include <memory>
#include <string>

#include "tern/client/channel.h"
#include "tern/server/server.h"
#include "tern/server/server_options.h"
#include "tern/server/service.h"

namespace tern::testing {

// A server and a channel to it, in the process of a test:
//
//   MyService service;
//   tern::testing::LocalServer local({&service});
//   MyService::Stub stub(local.channel());
//   EXPECT_EQ(stub.Get(request)->value(), "one");
//
// Calls go the way that they go in production, frames, threads, limits and all;
// only that the two meet in a Unix socket in a folder of its own, so that a
// test needs no port and disturbs no other. The channel can be used at once:
// nothing is to be waited for.
//
// For a dependency of the code under test, serve a fake of it here and give the
// code the channel (or use the generated mocks, for code that takes a
// StubInterface).
class LocalServer {
 public:
  // The services outlive this. `server_options.listen` is filled in. The
  // process ends, with the reason, when the server cannot be started.
  explicit LocalServer(std::initializer_list<Service*> services,
                       ServerOptions server_options = {},
                       const ChannelOptions& channel_options = {});
  // The channel's calls end CANCELLED, then the server's handlers.
  ~LocalServer();
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  Channel& channel() { return *channel_; }
  // Another one, with a connection of its own. This outlives it.
  std::unique_ptr<Channel> NewChannel(const ChannelOptions& options = {});
  // To stop or drain it.
  Server& server() { return *server_; }

 private:
  const std::string folder_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Channel> channel_;
};

}  // namespace tern::testing

#endif  // TERN_TESTING_LOCAL_SERVER_H_
