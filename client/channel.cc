#include "tern/client/channel.h"

#include <utility>

#include "tern/client/channel_core.h"

namespace tern {

std::unique_ptr<Channel> Channel::Create(std::string_view target,
                                         const ChannelOptions& options) {
  return std::unique_ptr<Channel>(
      new Channel(ChannelCore::Create(target, options)));
}

Channel::Channel(std::shared_ptr<ChannelCore> core) : core_(std::move(core)) {}

Channel::~Channel() { core_->ShutDown(); }

const std::string& Channel::target() const { return core_->target(); }

}  // namespace tern
