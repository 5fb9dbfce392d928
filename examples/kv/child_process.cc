#include "examples/kv/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "tern/lib/base/monotonic_time.h"
#include "tern/lib/base/status_macros.h"

namespace kv {
namespace {

absl::Status ErrnoError(const std::string& what) {
  return absl::InternalError(absl::StrCat(what, ": ", strerror(errno)));
}

// In the child, between fork and exec: async-signal-safe calls only. Reports
// errno when there is nothing to exec.
// `input_fd` -1: it gets nothing to read.
[[noreturn]] void BecomeProgram(char* const* argv, pid_t parent, int input_fd,
                                int output_fd, int error_fd) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);  // It ended before the line above.
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (input_fd < 0) input_fd = open("/dev/null", O_RDONLY);
  dup2(input_fd, STDIN_FILENO);
  dup2(output_fd, STDOUT_FILENO);
  dup2(output_fd, STDERR_FILENO);
  execv(argv[0], argv);
  const int error = errno;
  [[maybe_unused]] const ssize_t written =
      write(error_fd, &error, sizeof(error));
  _exit(127);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const std::vector<std::string>& command, Input input_kind) {
  std::vector<char*> argv;
  for (const std::string& word : command) {
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  int input[2] = {-1, -1};
  int output[2];
  int error[2];
  // A socket: a write to a program that has ended is an error, not a signal.
  if (input_kind == Input::kWritten &&
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, input) != 0) {
    return ErrnoError("socketpair");
  }
  if (pipe2(output, O_CLOEXEC) != 0) return ErrnoError("pipe");
  if (pipe2(error, O_CLOEXEC) != 0) return ErrnoError("pipe");

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    BecomeProgram(argv.data(), parent, input[1], output[1], error[1]);
  }
  if (input[1] >= 0) close(input[1]);
  close(output[1]);
  close(error[1]);
  // Closed unwritten by a successful exec.
  int exec_errno = pid < 0 ? errno : 0;
  if (pid > 0 &&
      read(error[0], &exec_errno, sizeof(exec_errno)) != sizeof(exec_errno)) {
    exec_errno = 0;
  }
  close(error[0]);
  if (exec_errno != 0) {
    close(output[0]);
    if (input[0] >= 0) close(input[0]);
    if (pid > 0) waitpid(pid, nullptr, 0);
    errno = exec_errno;
    return ErrnoError("run " + command[0]);
  }
  return std::unique_ptr<ChildProcess>(
      new ChildProcess(pid, input[0], output[0]));
}

ChildProcess::~ChildProcess() {
  if (!waited_for_) {
    Signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  EndInput();
  close(output_fd_);
}

absl::Status ChildProcess::WriteLine(std::string line) {
  line += '\n';
  for (size_t written = 0; written < line.size();) {
    const ssize_t count = send(input_fd_, line.data() + written,
                               line.size() - written, MSG_NOSIGNAL);
    if (count < 0) return ErrnoError("write to the program");
    written += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

void ChildProcess::EndInput() {
  if (input_fd_ >= 0) close(input_fd_);
  input_fd_ = -1;
}

void ChildProcess::Signal(int signal) {
  if (!waited_for_) kill(pid_, signal);
}

absl::Status ChildProcess::ReadMore(tern::MonotonicTime deadline) {
  while (true) {
    const absl::Duration left = deadline - tern::MonotonicTime::Now();
    pollfd wanted = {.fd = output_fd_, .events = POLLIN, .revents = 0};
    const int ready =
        poll(&wanted, 1,
             static_cast<int>(absl::ToInt64Milliseconds(
                 std::clamp(left, absl::ZeroDuration(), absl::Seconds(60)))));
    if (ready > 0) break;
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("the program prints nothing more");
    }
  }
  char bytes[4096];
  const ssize_t count = read(output_fd_, bytes, sizeof(bytes));
  if (count < 0) return ErrnoError("read the program's output");
  if (count == 0) return absl::OutOfRangeError("the program's output ended");
  output_.append(bytes, static_cast<size_t>(count));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ChildProcess::ReadLine(absl::Duration timeout) {
  const tern::MonotonicTime deadline = tern::MonotonicTime::Now() + timeout;
  while (true) {
    const size_t end = output_.find('\n', line_start_);
    if (end != output_.npos) {
      std::string line = output_.substr(line_start_, end - line_start_);
      line_start_ = end + 1;
      return line;
    }
    TERN_RETURN_IF_ERROR(ReadMore(deadline));
  }
}

absl::StatusOr<std::string> ChildProcess::ReadLineAfter(
    const std::string& prefix, absl::Duration timeout) {
  const tern::MonotonicTime deadline = tern::MonotonicTime::Now() + timeout;
  while (true) {
    auto line = ReadLine(deadline - tern::MonotonicTime::Now());
    if (!line.ok()) {
      return absl::Status(line.status().code(),
                          absl::StrCat("instead of \"", prefix,
                                       "...\" it printed:\n", output_));
    }
    if (line->starts_with(prefix)) return line->substr(prefix.size());
  }
}

absl::StatusOr<int> ChildProcess::Wait(absl::Duration timeout) {
  const tern::MonotonicTime deadline = tern::MonotonicTime::Now() + timeout;
  // Its end closes its output.
  absl::Status status;
  while (status.ok()) status = ReadMore(deadline);
  if (!absl::IsOutOfRange(status)) return status;
  int result = 0;
  if (waitpid(pid_, &result, 0) != pid_) return ErrnoError("waitpid");
  waited_for_ = true;
  return WIFSIGNALED(result) ? 128 + WTERMSIG(result) : WEXITSTATUS(result);
}

}  // namespace kv
