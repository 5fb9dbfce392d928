#include "tern/lib/wire/output_blocks.h"

#include "absl/base/config.h"

namespace tern::wire {

constinit thread_local OutputBlocks::Kept OutputBlocks::kept_ = {};

void OutputBlocks::GiveToHeap(char* block) {
#ifndef ABSL_HAVE_ADDRESS_SANITIZER
  if (kept_.phase == Phase::kUnused) {
    // Give() itself does not ask for this object each time: that would cost.
    thread_local const AtThreadEnd at_thread_end;
    kept_ = {.first = nullptr, .room = kMaxKept, .phase = Phase::kUsed};
    return Give(block);
  }
#endif
  delete[] block;
}

OutputBlocks::AtThreadEnd::~AtThreadEnd() {
  while (kept_.first != nullptr) delete[] TakeKept();
  kept_ = {.first = nullptr, .room = 0, .phase = Phase::kOver};
}

}  // namespace tern::wire
