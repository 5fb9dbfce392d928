// The server program: its command line, its start and its end.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "examples/kv/call_window.h"
#include "examples/kv/kv.tern.client.h"
#include "examples/kv/store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/call_error.h"
#include "tests/examples/kv/folder.h"
#include "tests/examples/kv/programs.h"
#include "tests/lib/net/short_folder.h"

namespace kv {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class ServerTest : public testing::Test {
 protected:
  Ran RunServer(const std::string& arguments) {
    return RunShell(absl::StrCat(kServerProgram, " ", arguments));
  }
  std::string data() { return folder_ / "db"; }

  TestFolder folder_;
};

TEST_F(ServerTest, SaysWhereItListensAndThatItHasDrained) {
  ServerProcess server(data());
  EXPECT_THAT(server.address(), StartsWith("127.0.0.1:"));
  EXPECT_EQ(server.Stop(), 0);
  EXPECT_THAT(server.process().output(),
              StartsWith(absl::StrCat("listening on ", server.address(),
                                      "; data in ", data(), "\n")));
  EXPECT_THAT(server.process().output(), EndsWith("drained\n"));
}

TEST_F(ServerTest, CtrlCDrainsItToo) {
  ServerProcess server(data());
  EXPECT_EQ(server.Stop(SIGINT), 0);
}

TEST_F(ServerTest, TwentySignalsAtOnceAfterItsStartNeverKillIt) {
  // The line is printed before it waits: a signal in between must count.
  for (int i = 0; i < 20; ++i) {
    ServerProcess server(data());
    ASSERT_EQ(server.Stop(), 0) << server.process().output();
  }
}

TEST_F(ServerTest, ListensOnSeveralAddresses) {
  tern::net::ShortFolder folder;
  const std::string a = "unix:" + folder.path() + "/a";
  const std::string b = "unix:" + folder.path() + "/b";
  ServerProcess server(
      data(), {"--listen=127.0.0.1:0," + a, "--listen", b, "--threads=3"});
  for (const std::string& address : {a, b}) {
    EXPECT_THAT(server.process().output(), HasSubstr(address));
    EXPECT_EQ(RunShell(absl::StrCat(kClientProgram, " --server=", address,
                                    " put key value"))
                  .exit_code,
              0);
  }
}

TEST_F(ServerTest, AWrongCommandLineIsExitCode2) {
  const std::string data = "--data=" + this->data();
  for (const std::string& arguments : std::vector<std::string>{
           "", "--data=", data + " argument", data + " --no-such-option",
           data + " --threads=0", data + " --threads=1025",
           data + " --threads=few",
           data + " --listen=", data + " --listen=127.0.0.1:0,"}) {
    const Ran ran = RunServer(arguments);
    EXPECT_EQ(ran.exit_code, 2) << arguments;
    EXPECT_THAT(ran.err, HasSubstr("server --help")) << arguments;
    EXPECT_EQ(ran.out, "") << arguments;
  }
}

TEST_F(ServerTest, HelpIsNoError) {
  const Ran ran = RunServer("--help");
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.out, StartsWith("Usage: server"));
}

TEST_F(ServerTest, RefusesADirectoryInUseAndNamesIt) {
  ServerProcess first(data());
  const Ran second = RunServer("--listen=127.0.0.1:0 --data=" + data());
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_EQ(second.out, "");
  EXPECT_THAT(second.err,
              HasSubstr(absl::StrCat("the data directory \"", data(),
                                     "\" is in use by another server")));
  EXPECT_EQ(first.Stop(), 0);
  ServerProcess third(data());  // Free again.
}

TEST_F(ServerTest, RefusesAPortInUseAndNamesIt) {
  ServerProcess first(data());
  const Ran second = RunServer(absl::StrCat("--listen=", first.address(),
                                            " --data=", folder_ / "other"));
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_EQ(second.out, "");
  EXPECT_THAT(second.err,
              AllOf(HasSubstr(first.address()), HasSubstr("in use")));
}

TEST_F(ServerTest, RefusesAnAddressThatCannotBeRead) {
  const Ran ran = RunServer("--listen=127.0.0.1:port --data=" + data());
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("127.0.0.1:port"));
}

// Puts keys as fast as it can, and remembers which ones were acknowledged.
class Writer {
 public:
  explicit Writer(const std::string& address)
      : channel_(tern::Channel::Create(address)), stub_(*channel_) {}

  // Ends at the first failure, after calling `at_acknowledged` once, when
  // `count` calls have been acknowledged.
  void RunUntilItFails(size_t count, std::function<void()> at_acknowledged) {
    for (int i = 0; failures().empty(); ++i) {
      window_.Open();
      v1::PutRequest request;
      request.set_key(absl::StrCat("key", i));
      request.set_value(absl::StrCat("value", i));
      stub_.Put(request, {}, [this, key = request.key()](auto reply) {
        tern::MutexLock lock(mutex_);
        if (reply.ok()) {
          acknowledged_.push_back(key);
        } else {
          failures_[key] = reply.status();
        }
        window_.Close();
      });
      if (at_acknowledged != nullptr && acknowledged().size() >= count) {
        std::exchange(at_acknowledged, nullptr)();
      }
    }
    window_.WaitUntilEmpty();
  }

  std::vector<std::string> acknowledged() {
    tern::MutexLock lock(mutex_);
    return acknowledged_;
  }
  std::map<std::string, absl::Status> failures() {
    tern::MutexLock lock(mutex_);
    return failures_;
  }

 private:
  const std::unique_ptr<tern::Channel> channel_;
  v1::KeyValue::Stub stub_;
  tern::Mutex mutex_;
  std::vector<std::string> acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Status> failures_ ABSL_GUARDED_BY(mutex_);
  CallWindow window_{32};
};

class ServerEndTest : public ServerTest {
 protected:
  bool IsStored(const Store& store, const std::string& key) {
    std::string value;
    return store.Get(key, &value).ok() && value == "value" + key.substr(3);
  }
  std::unique_ptr<Store> OpenStore() {
    auto store = Store::Open({.directory = data()});
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
};

TEST_F(ServerEndTest, ADrainUnderLoadLosesNothingAndFailsNoCallThatRan) {
  ServerProcess server(data());
  Writer writer(server.address());
  writer.RunUntilItFails(500, [&] { server.process().Signal(SIGTERM); });
  EXPECT_EQ(server.Stop(), 0) << server.process().output();

  const std::unique_ptr<Store> store = OpenStore();
  EXPECT_GE(writer.acknowledged().size(), 500u);
  for (const std::string& key : writer.acknowledged()) {
    ASSERT_TRUE(IsStored(*store, key)) << key;
  }
  for (const auto& [key, status] : writer.failures()) {
    EXPECT_EQ(tern::CertaintyOf(status), tern::Certainty::kNotStarted)
        << status;
    EXPECT_FALSE(IsStored(*store, key)) << key;
  }
}

TEST_F(ServerEndTest, AKilledServerHasKeptWhatItAcknowledged) {
  ServerProcess server(data());
  Writer writer(server.address());
  writer.RunUntilItFails(500, [&] { server.process().Signal(SIGKILL); });
  EXPECT_EQ(server.Stop(), 128 + SIGKILL);

  const std::unique_ptr<Store> store = OpenStore();
  for (const std::string& key : writer.acknowledged()) {
    ASSERT_TRUE(IsStored(*store, key)) << key;
  }
  for (const auto& [key, status] : writer.failures()) {
    if (tern::CertaintyOf(status) == tern::Certainty::kNotStarted) {
      EXPECT_FALSE(IsStored(*store, key)) << key;
    }
  }
}

}  // namespace
}  // namespace kv
