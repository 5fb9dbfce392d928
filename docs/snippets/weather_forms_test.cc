// The streams of the pages in docs/ in coroutines and with callbacks, compiled
// and run. docs_test compares them.

#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "docs/snippets/weather.tern.client.h"
#include "docs/snippets/weather.tern.server.h"
#include "gtest/gtest.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/call/spawn.h"
#include "tern/lib/call/task.h"
#include "tern/server/server.h"
#include "tern/testing/fake_clock.h"
#include "tern/testing/local_server.h"

namespace weather::v1 {
namespace {

constexpr int kReports = 3;

class CoWeatherService final : public Weather::CoService {
 public:
  tern::Task<absl::Status> Follow(tern::ServerContext&, const Place& place,
                                  tern::ServerWriter<Report>& writer) override {
    Report report;
    report.set_place(place.name());
    for (int i = 0; i < kReports; ++i) {
      report.set_celsius(20 + i);
      if (!co_await writer.CoWrite(report)) break;
      if (!(co_await tern::SleepFor(absl::Milliseconds(10))).ok()) break;
    }
    co_return absl::OkStatus();
  }

  tern::Task<absl::Status> Record(tern::ServerContext&,
                                  tern::ServerReader<Report>& reader,
                                  Summary* summary) override {
    Report report;
    int count = 0;
    while (co_await reader.CoRead(&report)) ++count;
    summary->set_reports(count);
    co_return absl::OkStatus();
  }

  tern::Task<absl::Status> Ask(
      tern::ServerContext&,
      tern::ServerStream<Place, Report>& stream) override {
    Place place;
    Report report;
    while (co_await stream.CoRead(&place)) {
      report.set_place(place.name());
      if (!co_await stream.CoWrite(report)) break;
    }
    co_return absl::OkStatus();
  }
};

class EveningService final : public Weather::CoService {
 public:
  // Waits until the evening.
  tern::Task<absl::Status> Now(tern::ServerContext&, const Place& place,
                               Report* report) override {
    absl::Status slept = co_await tern::SleepFor(absl::Hours(8));
    report->set_place(place.name());
    co_return slept;
  }
};

// One conversation: deletes itself at its end.
class Answering {
 public:
  Answering(tern::ServerStream<Place, Report>& stream,
            tern::Responder responder)
      : stream_(stream), responder_(std::move(responder)) {}

  void Next() {
    stream_.Read(&place_, [this](bool ok) { ok ? Reply() : End(); });
  }

 private:
  void Reply() {
    report_.set_place(place_.name());
    stream_.Write(report_, [this](bool ok) { ok ? Next() : End(); });
  }
  void End() {
    tern::Responder responder = std::move(responder_);
    delete this;
    responder.Answer(absl::OkStatus());
  }

  tern::ServerStream<Place, Report>& stream_;
  tern::Responder responder_;
  Place place_;
  Report report_;
};

class CallbackWeatherService final : public Weather::CallbackService {
 public:
  void Ask(tern::ServerContext&, tern::ServerStream<Place, Report>& stream,
           tern::Responder responder) override {
    (new Answering(stream, std::move(responder)))->Next();
  }
};

tern::Task<std::string> AskAbout(Weather::StubInterface& weather,
                                 std::vector<std::string> names) {
  tern::ClientStream<Place, Report> stream = weather.Co().Ask();
  std::string answers;
  Place place;
  Report report;
  for (const std::string& name : names) {
    place.set_name(name);
    if (!co_await stream.CoWrite(place)) break;
    if (!co_await stream.CoRead(&report)) break;
    answers += report.place() + " ";
  }
  absl::Status status = co_await stream.CoFinish();
  if (!status.ok()) answers += status.ToString();
  co_return answers;
}

// Counts reports: deletes itself at the end.
class Following {
 public:
  Following(tern::ClientReader<Report> reader,
            absl::AnyInvocable<void(int count, absl::Status) &&> done)
      : reader_(std::move(reader)), done_(std::move(done)) {}

  void Next() {
    reader_.Read(&report_, [this](bool ok) {
      if (!ok) return End();
      ++count_;
      Next();
    });
  }

 private:
  void End() {
    reader_.Finish([this](absl::Status status) {
      auto done = std::move(done_);
      const int count = count_;
      delete this;
      std::move(done)(count, std::move(status));
    });
  }

  tern::ClientReader<Report> reader_;
  absl::AnyInvocable<void(int count, absl::Status) &&> done_;
  Report report_;
  int count_ = 0;
};

TEST(Docs, InCoroutines) {
  CoWeatherService service;
  tern::testing::LocalServer local({&service});
  Weather::Stub weather(local.channel());
  EXPECT_EQ(tern::BlockOn(AskAbout(weather, {"Oslo", "Rome"})), "Oslo Rome ");
  auto writer = weather.Record();
  EXPECT_TRUE(writer.Write(Report()));
  const absl::StatusOr<Summary> summary = writer.Finish();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->reports(), 1);
}

TEST(Docs, WithCallbacks) {
  CallbackWeatherService service;
  CoWeatherService co_service;
  tern::testing::LocalServer local({&service});
  Weather::Stub weather(local.channel());
  EXPECT_EQ(tern::BlockOn(AskAbout(weather, {"Oslo", "Rome"})), "Oslo Rome ");

  tern::testing::LocalServer other({&co_service});
  std::promise<int> counted;
  Place place;
  place.set_name("Oslo");
  (new Following(Weather::Stub(other.channel()).Follow(place),
                 [&counted](int count, absl::Status status) {
                   EXPECT_TRUE(status.ok()) << status;
                   counted.set_value(count);
                 }))
      ->Next();
  EXPECT_EQ(counted.get_future().get(), kReports);
}

TEST(Docs, SkippingTime) {
  tern::testing::FakeClock clock;  // Before what it is to advance.
  EveningService service;
  tern::testing::LocalServer local({&service});
  Weather::Stub weather(local.channel());
  std::thread evening([&clock] {
    EXPECT_TRUE(clock.WaitForSleepers(1));
    clock.Advance(absl::Hours(8));
  });
  absl::StatusOr<Report> report =
      weather.Now(Place(), {.timeout = absl::Hours(9)});
  evening.join();
  EXPECT_TRUE(report.ok()) << report.status();
}

}  // namespace
}  // namespace weather::v1
