#include "tern/lib/wire/output_blocks.h"

#include "absl/base/config.h"

namespace tern::wire {

constinit thread_local OutputBlocks::Kept OutputBlocks::kept_ = {};

void OutputBlocks::GiveToHeap(char* block) {
#ifndef ABSL_HAVE_ADDRESS_SANITIZER
  if (kept_.max_count == 0 && !kept_.over) {
    // Its destructor could not be told of with each Give(): that would cost.
    thread_local const AtThreadEnd at_thread_end;
    kept_.max_count = kMaxKept;
    return Give(block);
  }
#endif
  delete[] block;
}

OutputBlocks::AtThreadEnd::~AtThreadEnd() {
  while (kept_.count != 0) delete[] Take();
  kept_ = {.first = nullptr, .count = 0, .max_count = 0, .over = true};
}

}  // namespace tern::wire
