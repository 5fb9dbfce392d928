// The code of docs/interceptors.md.

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "docs/snippets/weather.tern.client.h"
#include "docs/snippets/weather.tern.server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/client/channel.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/call/interceptor.h"
#include "tern/server/server.h"
#include "tern/testing/local_server.h"

namespace weather::v1 {
namespace {

using ::testing::ElementsAre;

class Log {
 public:
  void Write(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

class Logging final : public tern::Interceptor {
 public:
  explicit Logging(Log* log) : log_(*log) {}

  std::unique_ptr<tern::CallInterceptor> OnStart(
      tern::CallStart& start) override {
    return std::make_unique<Call>(log_, std::string(start.method));
  }

 private:
  class Call final : public tern::CallInterceptor {
   public:
    Call(Log& log, std::string method)
        : log_(log), method_(std::move(method)) {}
    void OnEnd(tern::CallEnd& end) override {
      log_.Write(method_ + ": " + absl::StatusCodeToString(end.status.code()));
    }

   private:
    Log& log_;
    const std::string method_;
  };

  Log& log_;
};

// At the client.
class SendToken final : public tern::Interceptor {
 public:
  explicit SendToken(std::string token) : token_(std::move(token)) {}
  std::unique_ptr<tern::CallInterceptor> OnStart(
      tern::CallStart& start) override {
    start.metadata.Set("token", token_);
    return nullptr;  // The rest of the call is of no interest.
  }

 private:
  const std::string token_;
};

// At the server.
class CheckToken final : public tern::Interceptor {
 public:
  std::unique_ptr<tern::CallInterceptor> OnStart(
      tern::CallStart& start) override {
    if (start.metadata.Get("token") != "secret") {
      start.refusal = absl::UnauthenticatedError("no token, or a wrong one");
    }
    start.metadata.Remove("token");
    // For handlers. Whatever the client has sent under this name is gone.
    start.metadata.Set("user", "jo");
    return nullptr;
  }
};

// Nobody is to know where it is asked for.
class HidePlaces final : public tern::Interceptor {
 public:
  std::unique_ptr<tern::CallInterceptor> OnStart(
      tern::CallStart& start) override {
    if (start.method != "weather.v1.Weather/Now") return nullptr;
    class Call final : public tern::CallInterceptor {
     public:
      void OnRequest(tern::MessageInPassing& request) override {
        const auto& place = static_cast<const Place&>(*request.message());
        if (place.name().empty()) {
          return request.Refuse(absl::InvalidArgumentError("no place"));
        }
        static_cast<Place*>(request.mutable_message())->set_name("somewhere");
      }
    };
    return std::make_unique<Call>();
  }
};

class WeatherService final : public Weather::Service {
 public:
  absl::Status Now(tern::ServerContext& context, const Place& place,
                   Report* report) override {
    EXPECT_EQ(context.metadata().Get("user"), "jo");
    EXPECT_FALSE(context.metadata().Get("token").has_value());
    report->set_place(place.name());
    return absl::OkStatus();
  }
};

TEST(Interceptors, LogAndAuthenticate) {
  Log log;
  WeatherService service;
  tern::ServerOptions options;
  options.interceptors = {std::make_shared<Logging>(&log),
                          std::make_shared<CheckToken>()};
  tern::testing::LocalServer local({&service}, options);

  const auto channel =
      local.NewChannel({.interceptors = {std::make_shared<Logging>(&log),
                                         std::make_shared<SendToken>("secret"),
                                         std::make_shared<HidePlaces>()}});
  Weather::Stub weather(*channel);
  Place place;
  place.set_name("Oslo");
  const absl::StatusOr<Report> report =
      weather.Now(place, {.metadata = {{"user", "root"}}});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->place(), "somewhere");
  EXPECT_EQ(place.name(), "Oslo");

  const absl::Status refused = weather.Now(Place()).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(tern::CertaintyOf(refused), tern::Certainty::kNotStarted);

  Weather::Stub without(local.channel());
  const absl::Status status = without.Now(place).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(tern::CertaintyOf(status), tern::Certainty::kNotStarted);

  EXPECT_THAT(log.lines(),
              ElementsAre("weather.v1.Weather/Now: OK",  // At the server.
                          "weather.v1.Weather/Now: OK",
                          "weather.v1.Weather/Now: INVALID_ARGUMENT",
                          "weather.v1.Weather/Now: UNAUTHENTICATED"));
}

}  // namespace
}  // namespace weather::v1
