// The two programs of README.md against each other. They meet at a Unix socket
// in a folder of the test's own, so no port can be taken.

#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "tests/examples/hello/program.h"

namespace tern {
namespace {

constexpr char kServer[] = "examples/hello/server";
constexpr char kClient[] = "examples/hello/client";

class HelloTest : public testing::Test {
 protected:
  HelloTest() {
    char folder[] = "/tmp/tern.XXXXXX";  // Short: a Unix path has 107 bytes.
    EXPECT_NE(nullptr, mkdtemp(folder));
    folder_ = folder;
  }
  ~HelloTest() override { std::filesystem::remove_all(folder_); }

  std::string Socket() const { return folder_ + "/hello"; }
  std::string Target() const { return "unix:" + Socket(); }

 private:
  std::string folder_;
};

TEST_F(HelloTest, ClientPrintsTheServersGreeting) {
  Program server({kServer, Target()});
  ASSERT_TRUE(WaitForListener(Socket()));

  Program client({kClient, Target()});
  EXPECT_EQ(0, client.Wait());
  EXPECT_EQ("Hello, world!\n", client.output());
}

TEST_F(HelloTest, ServerEndsInPeaceOnSigterm) {
  Program server({kServer, Target()});
  ASSERT_TRUE(server.WaitUntilItCatches(SIGTERM));

  server.Signal(SIGTERM);
  EXPECT_EQ(0, server.Wait()) << server.output();
}

TEST_F(HelloTest, ClientWithoutAServerNamesTheTarget) {
  Program client({kClient, Target()});
  EXPECT_EQ(1, client.Wait());
  EXPECT_NE(std::string::npos, client.output().find(Socket()))
      << client.output();
}

TEST_F(HelloTest, SecondServerNamesTheTakenAddress) {
  Program first({kServer, Target()});
  ASSERT_TRUE(WaitForListener(Socket()));

  Program second({kServer, Target()});
  EXPECT_EQ(1, second.Wait());
  EXPECT_NE(std::string::npos, second.output().find(Socket()))
      << second.output();
}

}  // namespace
}  // namespace tern
