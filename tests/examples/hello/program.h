#ifndef TERN_TESTS_EXAMPLES_HELLO_PROGRAM_H_
#define TERN_TESTS_EXAMPLES_HELLO_PROGRAM_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace tern {

// A program under test, as a child process. It is killed, if it still runs,
// with this object: no test leaves one behind. Not thread-safe.
class Program {
 public:
  // Starts it with both its outputs in one pipe.
  explicit Program(const std::vector<std::string>& command);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Signal(int signal);
  // Waits until it has installed a handler of its own for a signal, at most ten
  // seconds: before that the signal would simply kill it.
  bool WaitUntilItCatches(int signal) const;

  // Reads all that it prints and waits until it has ended. Returns its exit
  // code, or 128 + n when signal n killed it, as a shell does.
  int Wait();
  // What it printed; complete after Wait().
  const std::string& output() const { return output_; }

 private:
  pid_t pid_ = -1;  // -1: ended.
  int pipe_ = -1;
  std::string output_;
};

// Waits until something listens on a Unix socket's path, at most ten seconds.
bool WaitForListener(const std::string& path);

}  // namespace tern

#endif  // TERN_TESTS_EXAMPLES_HELLO_PROGRAM_H_
