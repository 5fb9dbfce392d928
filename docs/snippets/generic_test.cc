// The code of docs/generic.md.

#include <memory>
#include <string>
#include <thread>

#include "docs/snippets/weather.tern.client.h"
#include "docs/snippets/weather.tern.server.h"
#include "gtest/gtest.h"
#include "tern/client/channel.h"
#include "tern/client/generic_stub.h"
#include "tern/lib/call/call_error.h"
#include "tern/server/unknown_method_service.h"
#include "tern/testing/local_server.h"

namespace weather::v1 {
namespace {

class WeatherService final : public Weather::Service {
 public:
  absl::Status Now(tern::ServerContext&, const Place& place,
                   Report* report) override {
    if (place.name().empty()) return absl::InvalidArgumentError("no place");
    report->set_place(place.name());
    return absl::OkStatus();
  }
  absl::Status Follow(tern::ServerContext&, const Place& place,
                      tern::ServerWriter<Report>& writer) override {
    Report report;
    report.set_place(place.name());
    writer.Write(report);
    writer.Write(report);
    return absl::OkStatus();
  }
};

class Proxy final : public tern::UnknownMethodService {
 public:
  explicit Proxy(tern::Channel& upstream) : upstream_(upstream) {}

  absl::Status Handle(
      tern::ServerContext& context,
      tern::ServerStream<tern::RawMessage, tern::RawMessage>& client) override {
    tern::CallInfo info;
    // Its deadline is the client's, and so is its cancellation.
    auto server = tern::GenericStub(upstream_).Stream(
        context.method(), {.metadata = context.metadata(), .info = &info});

    std::thread requests([&] {
      tern::RawMessage message;
      while (client.Read(&message) && server.Write(message)) {
      }
      // What was cut short must not look complete.
      if (context.cancelled()) {
        server.Cancel();
      } else {
        server.EndWrites();
      }
    });

    tern::RawMessage message;
    bool any = false;
    while (server.Read(&message)) {
      if (!any) context.response_metadata() = info.response_metadata;
      any = true;
      if (!client.Write(message)) server.Cancel();
    }
    client.StopReads();  // The server has ended, whatever the client still has.
    requests.join();

    absl::Status status = server.Finish();
    if (!any) context.response_metadata() = info.response_metadata;
    context.trailing_metadata() = info.trailing_metadata;
    // Whether the server has run it, not whether this proxy has.
    if (auto error = tern::CallError::From(status)) context.PassOn(*error);
    return status;
  }

 private:
  tern::Channel& upstream_;
};

TEST(Generic, Unary) {
  WeatherService service;
  tern::testing::LocalServer local({&service});
  tern::Channel& channel = local.channel();
  Place place;
  place.set_name("Oslo");
  tern::GenericStub stub(channel);
  absl::StatusOr<tern::RawMessage> reply =
      stub.Call("weather.v1.Weather/Now", place.SerializeAsString(),
                {.timeout = absl::Seconds(1)});
  ASSERT_TRUE(reply.ok()) << reply.status();
  Report report;
  EXPECT_TRUE(report.ParseFromString(std::string(reply->view())));
  EXPECT_EQ(report.place(), "Oslo");
}

TEST(Generic, Stream) {
  WeatherService service;
  tern::testing::LocalServer local({&service});
  tern::GenericStub stub(local.channel());
  Place place;
  place.set_name("Oslo");
  auto stream = stub.Stream("weather.v1.Weather/Follow");
  stream.Write(place.SerializeAsString());
  stream.EndWrites();
  tern::RawMessage message;
  int count = 0;
  while (stream.Read(&message)) ++count;
  absl::Status status = stream.Finish();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(count, 2);
}

TEST(Generic, Proxy) {
  WeatherService service;
  tern::testing::LocalServer behind({&service});
  Proxy proxy(behind.channel());
  tern::testing::LocalServer front({&proxy});
  Weather::Stub weather(front.channel());
  Place place;
  EXPECT_EQ(weather.Now(place).status().code(),
            absl::StatusCode::kInvalidArgument);
  place.set_name("Oslo");
  EXPECT_EQ(weather.Now(place)->place(), "Oslo");
  auto reader = weather.Follow(place);
  Report report;
  EXPECT_TRUE(reader.Read(&report));
  EXPECT_TRUE(reader.Read(&report));
  EXPECT_FALSE(reader.Read(&report));
  EXPECT_TRUE(reader.Finish().ok());
}

}  // namespace
}  // namespace weather::v1
