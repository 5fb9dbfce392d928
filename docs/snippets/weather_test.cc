// The code of the pages in docs/, compiled and run. docs_test compares them.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <iostream>
#include <semaphore>
#include <string>
#include <thread>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "docs/snippets/weather.tern.client.h"
#include "docs/snippets/weather.tern.server.h"
#include "gtest/gtest.h"
#include "tern/client/channel.h"
#include "tern/lib/call/call_error.h"
#include "tern/lib/call/deadline.h"
#include "tern/server/server.h"
#include "tern/testing/fake_stream.h"
#include "tern/testing/local_server.h"

namespace weather::v1 {
namespace {

constexpr int kReports = 3;

class WeatherService final : public Weather::Service {
 public:
  absl::Status Now(tern::ServerContext&, const Place& place,
                   Report* report) override {
    if (place.name().empty()) return absl::InvalidArgumentError("no place");
    report->set_place(place.name());
    report->set_celsius(21.5);
    return absl::OkStatus();
  }

  absl::Status Follow(tern::ServerContext&, const Place& place,
                      tern::ServerWriter<Report>& writer) override {
    Report report;
    report.set_place(place.name());
    for (int i = 0; i < kReports; ++i) {
      report.set_celsius(20 + i);
      // Waits while the client is slow. False: the call is over.
      if (!writer.Write(report)) break;
    }
    return absl::OkStatus();
  }

  absl::Status Record(tern::ServerContext&, tern::ServerReader<Report>& reader,
                      Summary* summary) override {
    Report report;
    double sum = 0;
    int count = 0;
    while (reader.Read(&report)) {
      sum += report.celsius();
      ++count;
    }
    summary->set_reports(count);
    if (count != 0) summary->set_mean_celsius(sum / count);
    return absl::OkStatus();
  }

  absl::Status Ask(tern::ServerContext&,
                   tern::ServerStream<Place, Report>& stream) override {
    Place place;
    while (stream.Read(&place)) {
      Report report;
      report.set_place(place.name());
      if (!stream.Write(report)) break;
    }
    return absl::OkStatus();
  }
};

class Docs : public ::testing::Test {
 protected:
  WeatherService service_;
  tern::testing::LocalServer local_{&service_};
  Weather::Stub weather_{local_.channel()};
};

TEST_F(Docs, Unary) {
  Weather::Stub& weather = weather_;
  Place place;
  place.set_name("Oslo");
  absl::StatusOr<Report> report =
      weather.Now(place, {.timeout = absl::Milliseconds(500)});
  if (!report.ok()) {
    std::cerr << report.status() << "\n";
    if (tern::CertaintyOf(report.status()) == tern::Certainty::kNotStarted) {
      // The handler did not run: the call may be made again.
    }
  }
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->celsius(), 21.5);
}

TEST_F(Docs, UnaryWithACallback) {
  Weather::Stub& weather = weather_;
  Place place;
  place.set_name("Oslo");
  std::promise<double> celsius;
  weather.Now(place, {.timeout = absl::Seconds(30)},
              [&](const absl::StatusOr<Report>& report) {
                // On the channel's I/O thread: it must not block.
                celsius.set_value(report.ok() ? report->celsius() : -300);
              });
  EXPECT_EQ(celsius.get_future().get(), 21.5);
}

TEST_F(Docs, ServerStreaming) {
  Weather::Stub& weather = weather_;
  Place place;
  place.set_name("Oslo");
  int count = 0;
  tern::ClientReader<Report> reader = weather.Follow(place);
  Report report;
  while (reader.Read(&report)) {
    ++count;
  }
  absl::Status status = reader.Finish();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(count, kReports);
}

// The page for those who know gRPC.
int RunTheSameService() {
  WeatherService service;
  tern::Server server({.listen = {"localhost:0"}});
  server.Register(&service);
  if (absl::Status started = server.Start(); !started.ok()) return 1;
  auto channel = tern::Channel::Create(server.addresses()[0]);
  Weather::Stub weather(*channel);
  Place place;
  place.set_name("Oslo");
  absl::StatusOr<Report> now =
      weather.Now(place, {.timeout = absl::Seconds(1)});
  if (!now.ok()) return 2;  // tern::CertaintyOf(now.status()): whether it ran.
  tern::ClientReader<Report> reader = weather.Follow(place);
  Report report;
  while (reader.Read(&report)) std::cout << report.celsius() << "\n";
  if (!reader.Finish().ok()) return 3;
  tern::ClientWriter<Report, Summary> writer = weather.Record();
  for (int i = 0; i < 3; ++i) {
    if (!writer.Write(report)) break;
  }
  absl::StatusOr<Summary> summary = writer.Finish();
  if (!summary.ok()) return 4;
  std::cout << summary->mean_celsius() << "\n";
  tern::ClientStream<Place, Report> stream = weather.Ask();
  if (stream.Write(place) && stream.Read(&report)) {
    std::cout << report.place() << "\n";
  }
  stream.EndWrites();
  if (!stream.Finish().ok()) return 5;
  return server.Drain(absl::Seconds(10)).ok() ? 0 : 6;
}

TEST(DocsFromGrpc, TheSameService) { EXPECT_EQ(RunTheSameService(), 0); }

class Station : public Weather::Service {
 public:
  absl::Status Follow(tern::ServerContext& context, const Place& place,
                      tern::ServerWriter<Report>& writer) override {
    Report report;
    report.set_place(place.name());
    while (!context.draining()) {
      report.set_celsius(Measure());
      if (!writer.Write(report)) break;
    }
    return absl::OkStatus();  // The client follows on, elsewhere.
  }
  absl::Status Record(tern::ServerContext& context,
                      tern::ServerReader<Report>& reader,
                      Summary* summary) override {
    const auto on_drain = context.OnDrain([&reader] { reader.StopReads(); });
    Report report;
    int count = 0;
    while (reader.Read(&report)) ++count;
    if (reader.cut_short()) {
      return absl::UnavailableError(
          absl::StrCat("record elsewhere what is behind ", count, " reports"));
    }
    summary->set_reports(count);
    return absl::OkStatus();
  }

 private:
  static double Measure() { return 19.5; }
};

// Tells that Record has begun.
class StationThatTells final : public Station {
 public:
  absl::Status Record(tern::ServerContext& context,
                      tern::ServerReader<Report>& reader,
                      Summary* summary) override {
    begun_.release();
    return Station::Record(context, reader, summary);
  }
  void WaitForRecord() { begun_.acquire(); }

 private:
  std::binary_semaphore begun_{0};
};

TEST(DocsRestart, StreamsEndEarly) {
  Station station;
  tern::Server server({.listen = {"127.0.0.1:0"}});
  server.Register(&station);
  ASSERT_TRUE(server.Start().ok());
  const auto channel = tern::Channel::Create(server.addresses().at(0));
  auto reader = Weather::Stub(*channel).Follow(Place());
  Report report;
  ASSERT_TRUE(reader.Read(&report));
  absl::Status drained;
  std::thread drain([&] { drained = server.Drain(absl::Minutes(10)); });
  while (reader.Read(&report)) {
  }
  EXPECT_TRUE(reader.Finish().ok());
  drain.join();
  EXPECT_TRUE(drained.ok()) << drained;
}

TEST(DocsRestart, ReadsEndEarly) {
  StationThatTells station;
  tern::Server server({.listen = {"127.0.0.1:0"}});
  server.Register(&station);
  ASSERT_TRUE(server.Start().ok());
  const auto channel = tern::Channel::Create(server.addresses().at(0));
  auto writer = Weather::Stub(*channel).Record();
  ASSERT_TRUE(writer.Write(Report()));
  station.WaitForRecord();
  EXPECT_TRUE(server.Drain(absl::Minutes(10)).ok());
  const absl::Status status = writer.Finish().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find("record elsewhere"), std::string::npos)
      << status;
}

// Number 3 as systemd would have opened it.
class InheritedSocket {
 public:
  InheritedSocket() : before_(fcntl(3, F_DUPFD_CLOEXEC, 10)) {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(listen(listening, 16), 0);  // On a port that the kernel chooses.
    EXPECT_EQ(dup2(listening, 3), 3);
    if (listening != 3) close(listening);
  }
  ~InheritedSocket() {
    close(3);
    if (before_ < 0) return;
    dup2(before_, 3);
    close(before_);
  }

 private:
  const int before_;  // -1: there was none.
};

TEST(DocsRestart, InheritedSocket) {
  const InheritedSocket inherited;
  Station station;
  tern::Server server({.listen = {"fd:3"},
                       .max_connection_age = absl::Minutes(30),
                       .drain_grace = absl::Seconds(3)});
  server.Register(&station);
  ASSERT_TRUE(server.Start().ok());
  const auto channel =
      tern::Channel::Create("127.0.0.1:" + std::to_string(server.port()));
  auto reader = Weather::Stub(*channel).Follow(Place());
  Report report;
  EXPECT_TRUE(reader.Read(&report));
}

TEST_F(Docs, ClientStreaming) {
  Weather::Stub& weather = weather_;
  tern::ClientWriter<Report, Summary> writer = weather.Record();
  Report report;
  for (double celsius : {19.0, 20.0, 24.0}) {
    report.set_celsius(celsius);
    // Waits while the server is slow. False: Finish() tells why.
    if (!writer.Write(report)) break;
  }
  absl::StatusOr<Summary> summary = writer.Finish();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->reports(), 3);
  EXPECT_EQ(summary->mean_celsius(), 21);
}

TEST_F(Docs, BothWays) {
  Weather::Stub& weather = weather_;
  tern::ClientStream<Place, Report> stream = weather.Ask();
  std::thread asking([&stream] {
    Place place;
    for (const char* name : {"Oslo", "Rome"}) {
      place.set_name(name);
      if (!stream.Write(place)) break;
    }
    stream.EndWrites();
  });
  std::string answers;
  Report report;
  while (stream.Read(&report)) answers += report.place() + " ";
  asking.join();
  absl::Status status = stream.Finish();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(answers, "Oslo Rome ");
}

TEST_F(Docs, NotWaitingForever) {
  Weather::Stub& weather = weather_;
  tern::ClientStream<Place, Report> stream = weather.Ask();
  Report report;
  const auto soon = tern::Deadline::After(absl::Milliseconds(20));
  if (stream.ReadUntil(&report, soon) == tern::Poll::kNotYet) {
    stream.EndWrites();  // For example.
  }
  EXPECT_TRUE(soon.HasPassed());
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(Docs, Cancelling) {
  Weather::Stub& weather = weather_;
  tern::ClientStream<Place, Report> stream = weather.Ask();
  stream.Cancel();  // From any thread.
  EXPECT_EQ(stream.Finish().code(), absl::StatusCode::kCancelled);
}

TEST_F(Docs, AttachmentsOnAStream) {
  tern::testing::FakeStream<Report, Report> fake;
  fake.AddRequest({}, absl::Cord("photo"));
  fake.EndRequests();
  tern::ServerStream<Report, Report>& stream = fake.stream();
  Report report;
  absl::Cord photo;
  while (stream.Read(&report, &photo)) {
    if (!stream.Write(report, photo)) break;
  }
  ASSERT_EQ(fake.TakeReplies().size(), 1u);
  EXPECT_EQ(fake.TakeAttachments()[0], "photo");
}

TEST_F(Docs, TestingAHandlerByItself) {
  tern::testing::FakeStream<Report, Report> fake;
  Report report;
  report.set_celsius(30);
  fake.AddRequest(report);
  fake.EndRequests();
  Report read;
  EXPECT_TRUE(fake.reader().Read(&read));
  EXPECT_EQ(read.celsius(), 30);
}

}  // namespace
}  // namespace weather::v1
