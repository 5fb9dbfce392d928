// Cap'n Proto's client: all connections of a thread on its event loop.

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <kj/async-unix.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "bench/capnp/generated/echo.capnp.h"
#include "bench/load/load.h"
#include "bench/load/process.h"

namespace tern::bench {
namespace {

// Ends CapnpPeer::Run when its time is over. A busy kj loop does not look at
// its files, nor at timers, before it has run out of replies.
class Watch {
 public:
  // Resolved by the first reply that comes too late.
  kj::Promise<void> Begin(int64_t until) {
    until_ = until;
    auto pair = kj::newPromiseAndFulfiller<void>();
    over_ = kj::mv(pair.fulfiller);
    return kj::mv(pair.promise);
  }
  void OnReply() {
    if (++replies_ % 16 == 0 && NowNanoseconds() >= until_) over_->fulfill();
  }

 private:
  uint64_t replies_ = 0;
  int64_t until_ = 0;
  kj::Own<kj::PromiseFulfiller<void>> over_;
};

class CapnpConnection final : public Connection, kj::TaskSet::ErrorHandler {
 public:
  CapnpConnection(kj::Own<kj::AsyncIoStream> stream, kj::WaitScope& wait_scope,
                  const std::string& body, Watch& watch)
      : body_(reinterpret_cast<const kj::byte*>(body.data()), body.size()),
        wait_scope_(wait_scope),
        watch_(watch),
        stream_(kj::mv(stream)),
        client_(*stream_),
        echo_(client_.bootstrap().castAs<CapnpEcho>()),
        calls_(*this) {}

  // kj's members have destructors that may throw.
  ~CapnpConnection() noexcept override = default;

  void Call() override { CheckReply(Send().wait(wait_scope_)); }

  void Start(Completion* done) override {
    calls_.add(Send().then([this, done](Reply&& reply) {
      CheckReply(reply);
      done->Done();
      watch_.OnReply();
    }));
  }

  void StartBlock(int milliseconds, Completion* done) override {
    auto request = echo_.blockRequest();
    request.setMilliseconds(static_cast<uint32_t>(milliseconds));
    calls_.add(request.send().then([done](auto&&) { done->Done(); }));
  }

 private:
  using Reply = capnp::Response<CapnpEcho::CallResults>;

  capnp::RemotePromise<CapnpEcho::CallResults> Send() {
    auto request = echo_.callRequest(
        capnp::MessageSize{.wordCount = 16 + body_.size() / 8, .capCount = 0});
    request.setBody(body_);
    return request.send();
  }

  void CheckReply(const Reply& reply) const {
    if (reply.getBody().size() != body_.size()) {
      Die("a reply that is not the request");
    }
  }

  void taskFailed(kj::Exception&& exception) override {
    Die(exception.getDescription().cStr());
  }

  const capnp::Data::Reader body_;
  kj::WaitScope& wait_scope_;
  Watch& watch_;
  kj::Own<kj::AsyncIoStream> stream_;
  capnp::TwoPartyClient client_;
  CapnpEcho::Client echo_;
  kj::TaskSet calls_;
};

class CapnpPeer final : public Peer {
 public:
  explicit CapnpPeer(const PeerOptions& options)
      : options_(options),
        body_(options.bytes, 'x'),
        io_(kj::setupAsyncIo()),
        timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
        observer_(io_.unixEventPort, timer_,
                  kj::UnixEventPort::FdObserver::OBSERVE_READ) {
    if (timer_.get() < 0) DieOfErrno("timerfd_create");
  }
  ~CapnpPeer() noexcept override = default;

  std::unique_ptr<Connection> Connect() override {
    auto stream = io_.provider->getNetwork()
                      .parseAddress(options_.host, options_.port)
                      .wait(io_.waitScope)
                      ->connect()
                      .wait(io_.waitScope);
    return std::make_unique<CapnpConnection>(kj::mv(stream), io_.waitScope,
                                             body_, watch_);
  }

  // With a timer of our own: kj's rounds to milliseconds.
  void Run(int64_t until) override {
    const itimerspec at = {.it_interval = {},
                           .it_value = {.tv_sec = until / 1'000'000'000,
                                        .tv_nsec = until % 1'000'000'000}};
    if (timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr) != 0) {
      DieOfErrno("timerfd_settime");
    }
    observer_.whenBecomesReadable()
        .exclusiveJoin(watch_.Begin(until))
        .wait(io_.waitScope);
    uint64_t expirations;
    // Not yet expired when a reply was late.
    (void)!read(timer_, &expirations, sizeof(expirations));
  }

 private:
  const PeerOptions options_;
  const std::string body_;
  kj::AsyncIoContext io_;
  const kj::AutoCloseFd timer_;
  kj::UnixEventPort::FdObserver observer_;
  Watch watch_;
};

}  // namespace
}  // namespace tern::bench

int main(int argc, char** argv) {
  return tern::bench::LoadMain(
      argc, argv, [](const tern::bench::PeerOptions& options) {
        return std::make_unique<tern::bench::CapnpPeer>(options);
      });
}
