// The programs, talking through pipes.

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "examples/kv/child_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace chat {
namespace {

using kv::ChildProcess;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kServer[] = "examples/chat/chat-server";
constexpr char kClient[] = "examples/chat/chat";
// Only a hung program takes so long.
constexpr absl::Duration kHung = absl::Seconds(50);

class Program {
 public:
  explicit Program(const std::vector<std::string>& command) {
    auto process = ChildProcess::Start(command, ChildProcess::Input::kWritten);
    if (!process.ok()) {
      ADD_FAILURE() << process.status();
      return;
    }
    process_ = *std::move(process);
  }
  std::string Line() {
    const auto line = process_->ReadLine(kHung);
    EXPECT_TRUE(line.ok()) << line.status() << process_->output();
    return line.value_or("nothing");
  }
  std::string LineAfter(const std::string& prefix) {
    const auto line = process_->ReadLineAfter(prefix, kHung);
    EXPECT_TRUE(line.ok()) << line.status();
    return line.value_or("nothing");
  }
  void Type(const std::string& line) {
    const absl::Status status = process_->WriteLine(line);
    EXPECT_TRUE(status.ok()) << status;
  }
  int Wait() {
    const auto code = process_->Wait(kHung);
    EXPECT_TRUE(code.ok()) << code.status();
    return code.value_or(-1);
  }
  ChildProcess& operator*() { return *process_; }
  ChildProcess* operator->() { return process_.get(); }

 private:
  std::unique_ptr<ChildProcess> process_;
};

class ChatTest : public testing::Test {
 protected:
  ChatTest() : address_(server_.LineAfter("listening on ")) {}

  Program Chat(const std::string& name, const std::string& room = "birds") {
    return Program({kClient, "--server=" + address_, name, room});
  }

  Program server_{{kServer, "--listen=127.0.0.1:0"}};
  const std::string address_;
};

TEST_F(ChatTest, TwoTerminalsTalk) {
  Program ann = Chat("ann");
  EXPECT_EQ(ann.Line(), "* here are: ann");
  Program bob = Chat("bob");
  EXPECT_EQ(bob.Line(), "* here are: ann, bob");
  EXPECT_EQ(ann.Line(), "* bob has joined");
  ann.Type("hello");
  EXPECT_EQ(bob.Line(), "ann: hello");
  bob.Type("two lines");
  bob.Type("at once, \\ and \xc3\xa9");
  EXPECT_EQ(ann.Line(), "bob: two lines");
  EXPECT_EQ(ann.Line(), "bob: at once, \\ and \xc3\xa9");
  ann.Type("\x1b[2J");
  EXPECT_EQ(bob.Line(), "ann: \\x1b[2J");  // Does nothing to a terminal.

  bob->EndInput();  // Ctrl-D.
  EXPECT_EQ(bob.Wait(), 0) << bob->output();
  EXPECT_EQ(ann.Line(), "* bob has left");
  ann->Signal(SIGINT);  // Ctrl-C.
  EXPECT_EQ(ann.Wait(), 0) << ann->output();
}

TEST_F(ChatTest, WhatWasTypedBeforeCtrlDIsSaid) {
  Program ann = Chat("ann");
  ann.Line();
  Program bob = Chat("bob");
  for (int i = 0; i < 100; ++i) bob.Type(absl::StrCat("line ", i));
  bob->EndInput();
  EXPECT_EQ(bob.Wait(), 0) << bob->output();
  EXPECT_EQ(ann.Line(), "* bob has joined");
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(ann.Line(), absl::StrCat("bob: line ", i));
  }
  EXPECT_EQ(ann.Line(), "* bob has left");
}

TEST_F(ChatTest, ALineThatIsTooLongIsNotSaid) {
  Program ann = Chat("ann");
  ann.Line();
  Program bob = Chat("bob");
  bob.Line();
  ann.Line();
  bob.Type(std::string(4096, 'a'));
  EXPECT_EQ(ann.Line(), "bob: " + std::string(4096, 'a'));
  const std::string refused = "chat: a line has at most 4096 bytes; not said";
  for (const size_t length : {4097, 20'000}) {
    bob.Type(std::string(length, 'b'));
    EXPECT_EQ(bob.Line(), refused);
  }
  bob.Type("short");
  EXPECT_EQ(ann.Line(), "bob: short");
}

TEST_F(ChatTest, ANameThatIsTakenEndsTheProgram) {
  Program ann = Chat("ann");
  ann.Line();
  Program other = Chat("ann");
  EXPECT_EQ(other.Wait(), 1);
  EXPECT_THAT(other->output(),
              StartsWith("chat: ALREADY_EXISTS: ann is in birds"));
}

TEST_F(ChatTest, OneWhoDoesNotReadIsDroppedAndHoldsUpNobody) {
  Program ann = Chat("ann");
  EXPECT_EQ(ann.Line(), "* here are: ann");
  Program slow = Chat("slow");
  EXPECT_EQ(slow.Line(), "* here are: ann, slow");
  Program bob = Chat("bob");
  EXPECT_EQ(bob.Line(), "* here are: ann, bob, slow");
  slow->Signal(SIGSTOP);
  const std::string text(4096, 'x');
  // Until what the stream, the kernel and the queue take is full.
  std::string line;
  for (int i = 0; i < 5'000 && line != "* slow was dropped: too slow"; ++i) {
    ann.Type(text);
    line = bob.Line();
  }
  EXPECT_EQ(line, "* slow was dropped: too slow");
  // When it reads again it is told.
  slow->Signal(SIGCONT);
  EXPECT_THAT(slow.LineAfter("chat: RESOURCE_EXHAUSTED: "),
              StartsWith("too slow"));
  EXPECT_EQ(slow.Wait(), 1);
}

TEST_F(ChatTest, TheServersEndIsTheirs) {
  Program ann = Chat("ann");
  ann.Line();
  server_->Signal(SIGTERM);
  EXPECT_THAT(ann.LineAfter("chat: UNAVAILABLE: "), HasSubstr("draining"));
  EXPECT_EQ(ann.Wait(), 1);
  EXPECT_EQ(server_.Wait(), 0);
  EXPECT_THAT(server_->output(), EndsWith("drained\n"));
}

TEST_F(ChatTest, SaysThatThereIsNoServer) {
  server_->Signal(SIGKILL);
  server_.Wait();
  Program ann = Chat("ann");
  EXPECT_EQ(ann.Wait(), 1);
  EXPECT_THAT(ann->output(), HasSubstr("UNAVAILABLE"));
}

TEST(ChatUsage, AWrongCommandLineIsExitCode2) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{kClient},
                                             {kClient, "ann"},
                                             {kClient, "ann", "birds", "too"},
                                             {kClient, "--loud", "ann", "b"},
                                             {kServer, "argument"},
                                             {kServer, "--loud"}}) {
    EXPECT_EQ(Program(command).Wait(), 2) << command.back();
  }
  EXPECT_EQ(Program({kClient, "--help"}).Wait(), 0);
  EXPECT_EQ(Program({kServer, "--help"}).Wait(), 0);
}

}  // namespace
}  // namespace chat
