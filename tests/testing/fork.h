#ifndef TERN_TESTS_TESTING_FORK_H_
#define TERN_TESTS_TESTING_FORK_H_

#include <sys/types.h>

namespace tern::testing {

// fork(), just after all other threads of the process have been seen asleep in
// the kernel: most likely nobody then holds a lock of a sanitizer's runtime,
// which the child, where these threads are missing, would wait for in vain.
// (GCC 12's TSan frees only three of its own for the child.) -1 when they have
// not slept for kPatience. The child is ended by SIGALRM if it runs for a
// minute.
pid_t ForkWhileOthersSleep();

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_FORK_H_
