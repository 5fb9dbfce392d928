#include "tern/lib/base/recycling_allocator.h"

namespace tern {

FreeBlock* FreeBatches::Take() {
  MutexLock lock(mutex_);
  return count_ == 0 ? nullptr : batches_[--count_];
}

bool FreeBatches::Give(FreeBlock* batch) {
  MutexLock lock(mutex_);
  if (count_ == kMaxBatches) return false;
  batches_[count_++] = batch;
  return true;
}

}  // namespace tern
