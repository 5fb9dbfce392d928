#include "tern/lib/base/recycling_allocator.h"

namespace tern {

FreeBlock* FreeBatches::Take() {
  if (!mutex_.TryLock()) return nullptr;
  FreeBlock* const batch = count_ == 0 ? nullptr : batches_[--count_];
  mutex_.Unlock();
  return batch;
}

bool FreeBatches::Give(FreeBlock* batch) {
  if (!mutex_.TryLock()) return false;
  const bool room = count_ < kMaxBatches;
  if (room) batches_[count_++] = batch;
  mutex_.Unlock();
  return room;
}

}  // namespace tern
