#include "tern/testing/local_server.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tern/lib/base/log.h"

namespace tern::testing {
namespace {

// A path of a Unix socket may have 107 bytes: a test's own folder is often too
// deep.
std::string MakeFolder() {
  std::string folder = "/tmp/tern-local-XXXXXX";
  TERN_CHECK(mkdtemp(folder.data()) != nullptr)
      << "mkdtemp " << folder << ": " << std::strerror(errno);
  return folder;
}

}  // namespace

LocalServer::LocalServer(std::initializer_list<Service*> services,
                         ServerOptions server_options,
                         const ChannelOptions& channel_options)
    : folder_(MakeFolder()) {
  server_options.listen = {"unix:" + folder_ + "/socket"};
  server_ = std::make_unique<Server>(std::move(server_options));
  for (Service* const service : services) server_->Register(service);
  const absl::Status status = server_->Start();
  TERN_CHECK(status.ok()) << "the local server did not start: " << status;
  channel_ = NewChannel(channel_options);
}

LocalServer::~LocalServer() {
  channel_.reset();
  server_->Stop();
  server_.reset();  // Removes the socket.
  rmdir(folder_.c_str());
}

std::unique_ptr<Channel> LocalServer::NewChannel(
    const ChannelOptions& options) {
  return Channel::Create("unix:" + folder_ + "/socket", options);
}

}  // namespace tern::testing
