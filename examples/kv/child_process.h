#ifndef TERN_EXAMPLES_KV_CHILD_PROCESS_H_
#define TERN_EXAMPLES_KV_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tern/lib/base/monotonic_time.h"

namespace kv {

// A program that runs beside this one: stdin is empty, or written here; stdout
// and stderr are read here. It gets SIGTERM should the thread that started it
// end. Not thread-safe.
class ChildProcess {
 public:
  enum class Input { kEmpty, kWritten };
  // `command` is the program's path and its arguments. The error says why it
  // cannot be run.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(
      const std::vector<std::string>& command, Input input = Input::kEmpty);
  ~ChildProcess();  // Kills it if it still runs.
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // What it has printed so far and was read here.
  const std::string& output() const { return output_; }

  // Writes a line to its stdin, and waits while too much is unread there.
  // REQUIRES: Input::kWritten, not yet ended.
  absl::Status WriteLine(std::string line);
  void EndInput();

  // Its next line, without the line feed. OUT_OF_RANGE when it has closed its
  // output (it ended, most likely), DEADLINE_EXCEEDED when there is none in
  // time.
  absl::StatusOr<std::string> ReadLine(absl::Duration timeout);
  // The rest of the next line that starts with `prefix`; errors as above, with
  // all that it printed instead.
  absl::StatusOr<std::string> ReadLineAfter(const std::string& prefix,
                                            absl::Duration timeout);

  // `signal` as of kill(2). Once it has been waited for: no effect.
  void Signal(int signal);

  // Waits for its end and returns its exit code, 128 + N when signal N ended
  // it. DEADLINE_EXCEEDED when it still runs.
  absl::StatusOr<int> Wait(absl::Duration timeout);

 private:
  ChildProcess(pid_t pid, int input_fd, int output_fd)
      : pid_(pid), output_fd_(output_fd), input_fd_(input_fd) {}

  // Appends to output_; errors as of ReadLine.
  absl::Status ReadMore(tern::MonotonicTime deadline);

  const pid_t pid_;
  const int output_fd_;
  int input_fd_;  // -1: it reads nothing, or nothing more.
  bool waited_for_ = false;
  std::string output_;
  size_t line_start_ = 0;  // In output_.
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_CHILD_PROCESS_H_
