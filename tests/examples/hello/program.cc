#include "tests/examples/hello/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <fstream>

#include "gtest/gtest.h"

namespace tern {
namespace {

// Asks again and again, at most ten seconds: nothing tells of another process's
// progress.
template <typename Condition>
bool Poll(Condition condition) {
  for (int attempt = 0; attempt < 500; ++attempt) {
    if (condition()) return true;
    poll(nullptr, 0, 20);
  }
  return false;
}

// The signals that a process has handlers for; bit n - 1 is signal n.
uint64_t CaughtSignals(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("SigCgt:")) {
      return std::stoull(line.substr(7), nullptr, 16);
    }
  }
  return 0;
}

}  // namespace

Program::Program(const std::vector<std::string>& command) {
  int ends[2];
  EXPECT_EQ(0, pipe2(ends, O_CLOEXEC));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);

  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  const int error = posix_spawn(&pid_, arguments[0], &actions, nullptr,
                                arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  pipe_ = ends[0];
  if (error != 0) {
    pid_ = -1;
    ADD_FAILURE() << command[0] << ": " << strerror(error);
  }
}

Program::~Program() {
  Signal(SIGKILL);
  Wait();
  close(pipe_);
}

void Program::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

bool Program::WaitUntilItCatches(int signal) const {
  return Poll([this, signal] {
    return (CaughtSignals(pid_) >> (signal - 1) & 1) != 0;
  });
}

int Program::Wait() {
  if (pid_ < 0) return -1;
  char buffer[4096];
  for (ssize_t count; (count = read(pipe_, buffer, sizeof(buffer))) > 0;) {
    output_.append(buffer, static_cast<size_t>(count));
  }
  int status = 0;
  EXPECT_EQ(pid_, waitpid(pid_, &status, 0));
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool WaitForListener(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return Poll([&address] {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected =
        connect(fd, reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) == 0;
    close(fd);
    return connected;
  });
}

}  // namespace tern
