// What docs/coroutines.md shows, and that it shows this.

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "examples/hello/hello.tern.client.h"
#include "examples/hello/hello.tern.server.h"
#include "gtest/gtest.h"
#include "tern/client/channel.h"
#include "tern/lib/call/sleep.h"
#include "tern/lib/call/spawn.h"
#include "tern/lib/call/task.h"
#include "tern/lib/call/when.h"
#include "tern/server/server.h"
#include "tests/testing/event.h"

namespace {

using tern::testing::Event;
namespace Greeter = hello::v1::Greeter;

tern::Task<absl::StatusOr<std::string>> Greet(Greeter::StubInterface& stub, std::string name) {
  hello::v1::HelloRequest request;
  request.set_name(name);
  auto reply = co_await stub.Co().SayHello(request, {.timeout = absl::Seconds(1)});
  if (!reply.ok()) co_return std::move(reply).status();
  co_return reply->text();
}

tern::Task<std::string> GreetMany(Greeter::StubInterface& stub) {
  std::vector<tern::Task<absl::StatusOr<std::string>>> calls;
  for (const char* name : {"Ada", "Grace", "Edsger"}) calls.push_back(Greet(stub, name));
  std::string all;
  for (auto& text : co_await tern::WhenAll(std::move(calls))) all += text.value_or("") + "\n";
  co_return all;
}

// The first to answer; the other one is cancelled.
tern::Task<absl::StatusOr<std::string>> Either(Greeter::StubInterface& one,
                                               Greeter::StubInterface& other) {
  auto first = co_await tern::WhenAny(Greet(one, "world"), Greet(other, "world"));
  if (first.index() == 0) co_return std::get<0>(std::move(first));
  co_return std::get<1>(std::move(first));
}

class CoGreeter final : public Greeter::CoService {
 public:
  explicit CoGreeter(Greeter::StubInterface& next) : next_(next) {}

  tern::Task<absl::Status> SayHello(tern::ServerContext&, const hello::v1::HelloRequest& request,
                                    hello::v1::HelloReply* reply) override {
    auto slept = co_await tern::SleepFor(absl::Milliseconds(10));
    if (!slept.ok()) co_return slept;  // Nobody waits for the answer any more.
    auto text = co_await Greet(next_, request.name());
    if (!text.ok()) co_return std::move(text).status();
    reply->set_text(*text);
    co_return absl::OkStatus();
  }

 private:
  Greeter::StubInterface& next_;
};

// A library that calls back.
void LookUp(std::string name, absl::AnyInvocable<void(std::string)> done) {
  std::thread([name, done = std::move(done)]() mutable { done("Hello, " + name + "!"); }).detach();
}

class CallbackGreeter final : public Greeter::CallbackService {
 public:
  void SayHello(tern::ServerContext&, const hello::v1::HelloRequest& request,
                hello::v1::HelloReply* reply, tern::Responder responder) override {
    LookUp(request.name(), [reply, responder = std::move(responder)](std::string found) mutable {
      reply->set_text(found);
      responder.Answer(absl::OkStatus());
    });
  }
};

Event shown;
std::string what_was_shown;
void Show(absl::StatusOr<std::string> text) {
  what_was_shown = text.value_or(text.status().ToString());
  shown.Notify();
}

// CallbackGreeter, and CoGreeter in front of it.
class CoroutinesDoc : public ::testing::Test {
 protected:
  void SetUp() override {
    back_.Register(&callback_greeter_);
    ASSERT_TRUE(back_.Start().ok());
    back_channel_ = tern::Channel::Create(back_.addresses().at(0));
    back_stub_ = std::make_unique<Greeter::Stub>(*back_channel_);
    co_greeter_ = std::make_unique<CoGreeter>(*back_stub_);
    front_.Register(co_greeter_.get());
    ASSERT_TRUE(front_.Start().ok());
    channel_ = tern::Channel::Create(front_.addresses().at(0));
    stub_ = std::make_unique<Greeter::Stub>(*channel_);
  }
  void TearDown() override {
    front_.Stop();
    back_.Stop();
  }

  CallbackGreeter callback_greeter_;
  std::unique_ptr<CoGreeter> co_greeter_;
  tern::Server back_{{.listen = {"127.0.0.1:0"}}};
  tern::Server front_{{.listen = {"127.0.0.1:0"}}};
  std::unique_ptr<tern::Channel> back_channel_;
  std::unique_ptr<Greeter::Stub> back_stub_;
  std::unique_ptr<tern::Channel> channel_;
  std::unique_ptr<Greeter::Stub> stub_;
};

TEST_F(CoroutinesDoc, GreetsThroughBothKindsOfService) {
  Greeter::StubInterface& stub = *stub_;
  absl::StatusOr<std::string> text = tern::BlockOn(Greet(stub, "world"));  // main(), tests
  EXPECT_EQ(text.value_or(text.status().ToString()), "Hello, world!");
  tern::Spawn(Greet(stub, "world"), Show);  // Show(absl::StatusOr<std::string>), when it has ended
  ASSERT_TRUE(shown.Wait());
  EXPECT_EQ(what_was_shown, "Hello, world!");
}

TEST_F(CoroutinesDoc, GreetsSeveralAtATime) {
  EXPECT_EQ(tern::BlockOn(GreetMany(*stub_)), "Hello, Ada!\nHello, Grace!\nHello, Edsger!\n");
  EXPECT_TRUE(tern::BlockOn(Either(*stub_, *back_stub_)).ok());
}

// Line by line, without the indentation.
std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    line.erase(0, line.find_first_not_of(' '));
    lines.push_back(line);
  }
  return lines;
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(CoroutinesDocText, ShowsWhatIsCompiledHere) {
  const std::vector<std::string> doc = Lines(Read("docs/coroutines.md"));
  const std::vector<std::string> here = Lines(Read("tests/docs/coroutines_test.cc"));
  int blocks = 0;
  for (auto start = std::find(doc.begin(), doc.end(), "```cpp"); start != doc.end();
       start = std::find(start, doc.end(), "```cpp")) {
    const auto end = std::find(++start, doc.end(), "```");
    EXPECT_NE(start, end);
    // A block may leave out what stands between its parts.
    auto place = here.begin();
    for (; start != end; ++start) {
      place = std::find(place, here.end(), *start);
      ASSERT_NE(place, here.end()) << *start;
      ++place;
    }
    ++blocks;
  }
  EXPECT_EQ(blocks, 5);
}

}  // namespace
