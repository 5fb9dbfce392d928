#ifndef TERN_TESTS_EXAMPLES_KV_PROGRAMS_H_
#define TERN_TESTS_EXAMPLES_KV_PROGRAMS_H_

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "examples/kv/child_process.h"
#include "gtest/gtest.h"
#include "tests/examples/kv/folder.h"

namespace kv {

// The real programs, built with the test that lists them in its data.
inline constexpr char kServerProgram[] = "examples/kv/server";
inline constexpr char kClientProgram[] = "examples/kv/client";
inline constexpr char kDemoProgram[] = "examples/kv/demo";

// Only a hung program takes so long.
inline constexpr absl::Duration kHung = absl::Seconds(50);

// What a shell command did.
struct Ran {
  int exit_code;
  std::string out;
  std::string err;
};
inline Ran RunShell(const std::string& command) {
  TestFolder folder;
  const int result = system(("{ " + command + "\n} >" + folder / "out" + " 2>" +
                             folder / "err" + " </dev/null")
                                .c_str());
  return {WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result),
          ReadFile(folder / "out"), ReadFile(folder / "err")};
}

// A server process that has begun to listen.
class ServerProcess {
 public:
  explicit ServerProcess(const std::string& data,
                         const std::vector<std::string>& more = {}) {
    std::vector<std::string> command = {kServerProgram, "--listen=127.0.0.1:0",
                                        "--data=" + data};
    command.insert(command.end(), more.begin(), more.end());
    auto process = ChildProcess::Start(command);
    if (!process.ok()) {
      ADD_FAILURE() << process.status();
      return;
    }
    process_ = *std::move(process);
    const auto line = process_->ReadLineAfter("listening on ", kHung);
    EXPECT_TRUE(line.ok()) << line.status();
    if (line.ok()) address_ = line->substr(0, line->find(';'));
  }

  const std::string& address() const { return address_; }
  ChildProcess& process() { return *process_; }

  // Its exit code; -1 when it hangs.
  int Stop(int signal = SIGTERM) {
    process_->Signal(signal);
    const auto code = process_->Wait(kHung);
    EXPECT_TRUE(code.ok()) << code.status();
    return code.value_or(-1);
  }

 private:
  std::unique_ptr<ChildProcess> process_;
  std::string address_ = "none";
};

}  // namespace kv

#endif  // TERN_TESTS_EXAMPLES_KV_PROGRAMS_H_
