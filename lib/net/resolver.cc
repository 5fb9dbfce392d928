#include "tern/lib/net/resolver.h"

#include <errno.h>
#include <netdb.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/thread_pool.h"
#include "tern/lib/net/socket.h"

namespace tern::net {
namespace {

constexpr int kThreads = 4;
constexpr size_t kMaxQueuedLookups = 1024;

using Addresses = std::vector<Address>;
using Done = absl::AnyInvocable<void(absl::StatusOr<Addresses>) &&>;

absl::Status Unavailable(const std::string& host, const std::string& reason) {
  return absl::UnavailableError("resolve \"" + EscapeForLog(host) +
                                "\": " + reason);
}

// getaddrinfo's error in our words' style: "name or service not known".
std::string ReasonOf(int error, int saved_errno) {
  if (error == EAI_SYSTEM) return ErrnoText(saved_errno);
  std::string text = gai_strerror(error);
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z') text[0] += 'a' - 'A';
  return text;
}

absl::StatusOr<Addresses> LookUp(const HostPort& endpoint) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error =
      getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(),
                  &hints, &list);
  if (error != 0) return Unavailable(endpoint.host, ReasonOf(error, errno));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list,
                                                             freeaddrinfo);
  Addresses answers;
  for (const addrinfo* info = list; info != nullptr; info = info->ai_next) {
    const Address address =
        Address::FromSockaddr(info->ai_addr, info->ai_addrlen);
    const bool known =
        std::find(answers.begin(), answers.end(), address) != answers.end();
    if (address.family() != AF_UNSPEC && !known) answers.push_back(address);
  }
  if (answers.empty()) return Unavailable(endpoint.host, "no address");
  return resolver_internal::TakenInTurn(answers);
}

class Lookup final : public ThreadPool::Task {
 public:
  Lookup(Endpoint endpoint, Done done)
      : endpoint_(std::move(endpoint)), done_(std::move(done)) {}

  void Run() override {
    const std::unique_ptr<Lookup> self(this);
    std::move(done_)(ResolveBlocking(endpoint_));
  }

  void OnDropped(ThreadPool::Drop) override {  // Only ever kFull.
    const std::unique_ptr<Lookup> self(this);
    std::move(done_)(absl::ResourceExhaustedError(
        "resolve " + ToString(endpoint_) + ": this process's queue of " +
        std::to_string(kMaxQueuedLookups) + " lookups is full"));
  }

 private:
  const Endpoint endpoint_;
  Done done_;
};

ThreadPool& LookupThreads() {
  // Never destroyed: a lookup can't be interrupted, and exit shall not wait.
  static ThreadPool* const pool =
      new ThreadPool({.threads = kThreads,
                      .max_queued_tasks = kMaxQueuedLookups,
                      .name = "tern-resolver"});
  return *pool;
}

}  // namespace

// The first answer's family first, then one of each in turn: when one family's
// routes are broken, the other is tried next.
std::vector<Address> resolver_internal::TakenInTurn(
    const std::vector<Address>& answers) {
  Addresses queues[2];
  for (const Address& address : answers) {
    queues[address.family() != answers.front().family()].push_back(address);
  }
  Addresses out;
  const size_t longest = std::max(queues[0].size(), queues[1].size());
  for (size_t i = 0; i < longest; ++i) {
    for (const Addresses& queue : queues) {
      if (i < queue.size()) out.push_back(queue[i]);
    }
  }
  out.resize(std::min(out.size(), kMaxResolvedAddresses));
  return out;
}

std::optional<Addresses> ResolveNumeric(const Endpoint& endpoint) {
  absl::StatusOr<Address> address;
  if (const auto* unix_path = std::get_if<UnixPath>(&endpoint)) {
    address = Address::FromUnixPath(unix_path->path);
  } else {
    const auto& host_port = std::get<HostPort>(endpoint);
    address = Address::FromNumericHost(host_port.host, host_port.port);
  }
  if (!address.ok()) return std::nullopt;
  return Addresses{*address};
}

absl::StatusOr<Addresses> ResolveBlocking(const Endpoint& endpoint) {
  if (std::optional<Addresses> numeric = ResolveNumeric(endpoint)) {
    return *std::move(numeric);
  }
  if (const auto* unix_path = std::get_if<UnixPath>(&endpoint)) {
    return Address::FromUnixPath(unix_path->path).status();
  }
  return LookUp(std::get<HostPort>(endpoint));
}

void ResolveAsync(Endpoint endpoint, Done done) {
  LookupThreads().Submit(new Lookup(std::move(endpoint), std::move(done)),
                         MonotonicTime::InfiniteFuture());
}

}  // namespace tern::net
