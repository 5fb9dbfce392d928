// The client program against the server program.

#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/examples/kv/folder.h"
#include "tests/examples/kv/programs.h"
#include "tests/lib/net/short_folder.h"

namespace kv {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class ClientTest : public testing::Test {
 protected:
  // `arguments` as a shell reads them.
  std::string Command(const std::string& arguments) {
    return absl::StrCat(kClientProgram, " --server=", server_.address(), " ",
                        arguments);
  }
  Ran Client(const std::string& arguments) {
    return RunShell(Command(arguments));
  }

  TestFolder folder_;
  tern::net::ShortFolder short_;
  ServerProcess server_{folder_ / "db", {"--nosync"}};
};

TEST_F(ClientTest, PutsGetsAndDeletes) {
  Ran ran = Client("put key 'a value'");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out + ran.err, "");
  ran = Client("get key");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "a value\n");
  ran = Client("delete key");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out + ran.err, "");
  EXPECT_EQ(Client("delete key").exit_code, 0);
}

TEST_F(ClientTest, AMissingKeyIsExitCode3) {
  const Ran ran = Client("get none");
  EXPECT_EQ(ran.exit_code, 3);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err, "client: no value for the key \"none\"\n");
}

TEST_F(ClientTest, AFailedCallIsExitCode1AndSaysWhetherItRan) {
  Ran ran = Client("put '' value");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("INVALID_ARGUMENT: the key is empty"));
  EXPECT_THAT(ran.err, HasSubstr("finished; in handler"));

  server_.Stop();
  for (const std::string command : {"get key", "put key value", "delete key",
                                    "scan", "load /etc/passwd", "watch"}) {
    ran = Client(command);
    EXPECT_EQ(ran.exit_code, 1) << command;
    EXPECT_EQ(ran.out, "");
  }
  EXPECT_THAT(Client("get key").err,
              AllOf(HasSubstr("UNAVAILABLE"), HasSubstr(server_.address()),
                    HasSubstr("not started; in connect")));
}

TEST_F(ClientTest, AWrongCommandLineIsExitCode2) {
  for (const std::string arguments :
       {"", "fetch key", "get", "get a b", "put a", "put a b c", "delete",
        "scan a b", "watch a b", "load", "load a b", "--no-such-option get a",
        "--timeout=soon get a", "--timeout=-1s get a", "--timeout=0 get a",
        "--after=x watch", "--after=0 watch", "get -k"}) {
    const Ran ran = Client(arguments);
    EXPECT_EQ(ran.exit_code, 2) << arguments;
    EXPECT_EQ(ran.out, "") << arguments;
    EXPECT_THAT(ran.err, HasSubstr("client --help")) << arguments;
  }
}

TEST_F(ClientTest, HelpIsNoError) {
  const Ran ran = Client("--help");
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.out, StartsWith("Usage: client"));
  EXPECT_EQ(ran.err, "");
}

TEST_F(ClientTest, ADashAfterTwoDashesIsNoOption) {
  EXPECT_EQ(Client("put -- -key -1").exit_code, 0);
  EXPECT_EQ(Client("get -- -key").out, "-1\n");
}

TEST_F(ClientTest, TimesOut) {
  // Nobody answers there: the kernel takes the connection, a stopped server
  // does nothing with it.
  server_.process().Signal(SIGSTOP);
  const Ran ran = Client("--timeout=50ms get key");
  server_.process().Signal(SIGCONT);
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("DEADLINE_EXCEEDED"));
}

TEST_F(ClientTest, ScansByPrefixInOrder) {
  for (const std::string key : {"b2", "a", "b1", "c"}) {
    Client("put " + key + " v" + key);
  }
  EXPECT_EQ(Client("scan b").out, "b1\tvb1\nb2\tvb2\n");
  EXPECT_EQ(Client("scan").out, "a\tva\nb1\tvb1\nb2\tvb2\nc\tvc\n");
  const Ran none = Client("scan none");
  EXPECT_EQ(none.exit_code, 0);
  EXPECT_EQ(none.out + none.err, "");
}

TEST_F(ClientTest, WhatIsLoadedIsWhatScanPrints) {
  // More than a page; sorted as the store sorts.
  std::string text;
  for (int i = 10'000; i < 12'500; ++i) {
    absl::StrAppend(&text, "key", i, "\tvalue \\n\\t\\\\\\x00", i, "\n");
  }
  WriteFile(folder_ / "in", text);
  const Ran load = Client("load " + folder_ / "in");
  EXPECT_EQ(load.exit_code, 0) << load.err;
  EXPECT_EQ(load.out, "");
  EXPECT_THAT(load.err, StartsWith("loaded 2,500 entries in 10 calls, "));
  EXPECT_EQ(Client("scan").out, text);

  // Through a pipe, into another server.
  ServerProcess other(folder_ / "other", {"--nosync"});
  const Ran copy =
      RunShell(absl::StrCat(Command("scan"), " | ", kClientProgram,
                            " --server=", other.address(), " load -"));
  EXPECT_EQ(copy.exit_code, 0) << copy.err;
  EXPECT_EQ(RunShell(absl::StrCat(kClientProgram, " --server=", other.address(),
                                  " scan"))
                .out,
            text);
}

TEST_F(ClientTest, EveryByteSurvivesAScanAndALoad) {
  ASSERT_EQ(Client("put \"$(printf 'a\\tb\\nc\\\\')\" "
                   "\"$(printf '\\001\\033\\377\\n\\r\\tx')\"")
                .exit_code,
            0);
  const std::string line = "a\\tb\\nc\\\\\t\\x01\\x1b\xff\\n\\r\\tx\n";
  EXPECT_EQ(Client("scan").out, line);
  EXPECT_EQ(RunShell(Command("scan") + " | " + Command("load -")).exit_code, 0);
  EXPECT_EQ(Client("scan").out, line);
}

TEST_F(ClientTest, LoadReportsMalformedLinesAndKeepsTheOthers) {
  WriteFile(folder_ / "in", "a\t1\nno tab\nb\t2\n");
  const Ran ran = Client("load " + folder_ / "in");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr(folder_ / "in:2: no tab"));
  EXPECT_THAT(ran.err, HasSubstr("loaded 2 entries in 1 calls"));
  EXPECT_THAT(ran.err, EndsWith("; 1 malformed lines left out\n"));
  EXPECT_EQ(Client("scan").out, "a\t1\nb\t2\n");
}

TEST_F(ClientTest, LoadNamesAFileThatIsNotThere) {
  const Ran ran = Client("load " + folder_ / "none");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr(folder_ / "none: No such file or directory"));
}

TEST_F(ClientTest, LoadDrawsNothingWhereThereIsNoTerminal) {
  WriteFile(folder_ / "in", "a\t1\n");
  const Ran ran = Client("load " + folder_ / "in");
  EXPECT_THAT(ran.err, Not(HasSubstr("\r")));
  EXPECT_THAT(ran.err, Not(HasSubstr("\x1b")));
}

TEST_F(ClientTest, TransactsWhatStdinSays) {
  Client("put a 1");
  Client("put 'a b' 2");
  const auto transact = [this](const std::string& lines) {
    return RunShell("printf '%s' '" + lines + "' | " + Command("transact"));
  };
  Ran ran = transact(
      "get a\nput a a value\n\nget a\ndelete a\\x20b\nget a\\x20b\n"
      "put n x\\ny\ncommit\n");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "a\t1\na\ta value\na b\n");
  EXPECT_EQ(ran.err, "client: committed, at revision 6\n");
  EXPECT_EQ(Client("scan").out, "a\ta value\nn\tx\\ny\n");

  ran = transact("put a 2\nabort\n");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.err, "client: aborted; nothing was written\n");
  ran = transact("put a 2\n");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(ran.err, "client: no commit; nothing was written\n");
  for (const std::string bad :
       {"fetch a", "get", "get a b", "put", "delete", "delete a b", "commit a",
        "put \\q v", "put k \\q"}) {
    ran = transact("put a 2\n" + bad + "\ncommit\n");
    EXPECT_EQ(ran.exit_code, 1) << bad;
    EXPECT_THAT(ran.err, StartsWith("client: line 2: ")) << bad;
    EXPECT_THAT(ran.err, EndsWith("; nothing was written\n")) << bad;
  }
  ran = transact("put " + std::string(1025, 'k') + " v\ncommit\n");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("requests[0]: a key of 1025 bytes"));
  EXPECT_EQ(Client("get a").out, "a value\n");
}

// A client that runs beside the test.
class RunningClient {
 public:
  explicit RunningClient(const std::vector<std::string>& command) {
    auto process = ChildProcess::Start(command, ChildProcess::Input::kWritten);
    if (!process.ok()) {
      ADD_FAILURE() << process.status();
      return;
    }
    process_ = *std::move(process);
  }
  ChildProcess& process() { return *process_; }
  std::string Line() {
    const auto line = process_->ReadLine(kHung);
    EXPECT_TRUE(line.ok()) << line.status();
    return line.value_or("");
  }
  std::string LineAfter(const std::string& prefix) {
    const auto line = process_->ReadLineAfter(prefix, kHung);
    EXPECT_TRUE(line.ok()) << line.status();
    return line.value_or("");
  }
  int Wait() { return process_->Wait(kHung).value_or(-1); }

 private:
  std::unique_ptr<ChildProcess> process_;
};

TEST_F(ClientTest, AConflictIsExitCode4) {
  Client("put a 1");
  RunningClient transact(
      {kClientProgram, "--server=" + server_.address(), "transact"});
  EXPECT_TRUE(transact.process().WriteLine("get a").ok());
  EXPECT_EQ(transact.Line(), "a\t1");
  Client("put a 2");
  EXPECT_TRUE(transact.process().WriteLine("put b 1").ok());
  EXPECT_TRUE(transact.process().WriteLine("commit").ok());
  EXPECT_THAT(transact.LineAfter("client: ABORTED"),
              HasSubstr("the key \"a\" has changed"));
  EXPECT_EQ(transact.Wait(), 4);
  EXPECT_EQ(Client("get b").exit_code, 3);
}

TEST_F(ClientTest, WatchesAPrefix) {
  RunningClient watch(
      {kClientProgram, "--server=" + server_.address(), "watch", "k"});
  EXPECT_EQ(watch.Line(), "client: watching, after revision 1");
  Client("put key \"$(printf 'a\\tb')\"");
  Client("put other value");
  Client("delete key");
  EXPECT_EQ(watch.Line(), "2\tkey\ta\\tb");
  EXPECT_EQ(watch.Line(), "4\tkey");

  RunningClient later(
      {kClientProgram, "--server=" + server_.address(), "--after=2", "watch"});
  EXPECT_EQ(later.LineAfter("3\t"), "other\tvalue");
  EXPECT_EQ(later.Line(), "4\tkey");
  later.process().Signal(SIGINT);
  EXPECT_EQ(later.Wait(), 128 + SIGINT);
}

TEST_F(ClientTest, WatchGoesOnWhenTheServerIsBack) {
  const std::string socket = "unix:" + short_.path() + "/s";
  std::optional<ServerProcess> server;
  server.emplace(folder_ / "other",
                 std::vector<std::string>{"--listen=" + socket});
  const auto put = [&socket](const std::string& arguments) {
    return RunShell(absl::StrCat(kClientProgram, " --server=", socket, " put ",
                                 arguments))
        .exit_code;
  };
  RunningClient watch({kClientProgram, "--server=" + socket, "watch"});
  watch.LineAfter("client: watching");
  EXPECT_EQ(put("a 1"), 0);
  EXPECT_EQ(watch.Line(), "2\ta\t1");
  server->Stop();
  watch.LineAfter("client: the server has gone");
  server.emplace(folder_ / "other",
                 std::vector<std::string>{"--listen=" + socket});
  EXPECT_EQ(put("a 2"), 0);
  EXPECT_EQ(watch.LineAfter("3\t"), "a\t2");

  // A server that was killed has lost what there was after that.
  server->Stop(SIGKILL);
  server.emplace(folder_ / "other",
                 std::vector<std::string>{"--listen=" + socket});
  EXPECT_THAT(watch.LineAfter("client: OUT_OF_RANGE"),
              HasSubstr("after revision 3 are not all kept"));
  EXPECT_EQ(watch.Wait(), 1);
}

TEST_F(ClientTest, NoticesAFullDisk) {
  Client("put key value");
  for (const std::string command : {"get key", "scan"}) {
    const Ran ran = Client(command + " >/dev/full");
    EXPECT_EQ(ran.exit_code, 1) << command;
    EXPECT_THAT(ran.err, HasSubstr("write to stdout: No space left"))
        << command;
  }
}

}  // namespace
}  // namespace kv
