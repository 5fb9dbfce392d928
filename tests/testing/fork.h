#ifndef TERN_TESTS_TESTING_FORK_H_
#define TERN_TESTS_TESTING_FORK_H_

#include <sys/types.h>

namespace tern::testing {

// fork(), at a moment when all other threads of the process sleep in the
// kernel. Nobody then holds a lock of the C++ or of a sanitizer's runtime,
// which the child, where these threads are missing, would wait for in vain:
// GCC 12's TSan, for one, frees only three of its own for the child. The child
// is ended by SIGALRM if it runs for a minute.
pid_t ForkWhileOthersSleep();

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_FORK_H_
