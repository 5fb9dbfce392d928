#include "tern/server/memory_budget.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace tern {
namespace {

int64_t MachineBytes() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
}

// A number of bytes in a cgroup's file; the machine's memory when there is
// none ("max" in cgroup v2).
int64_t LimitIn(const char* path) {
  std::ifstream file(path);
  int64_t bytes = 0;
  if (file >> bytes && bytes > 0) return bytes;
  return MachineBytes();
}

}  // namespace

int64_t MemoryBudget::DefaultBytes() {
  const int64_t limit =
      std::min({MachineBytes(), LimitIn("/sys/fs/cgroup/memory.max"),
                LimitIn("/sys/fs/cgroup/memory/memory.limit_in_bytes")});
  return limit / 4;
}

bool MemoryAccount::Reserve(int64_t bytes) {
  const int64_t missing = used_ + bytes - taken_;
  if (missing > 0) {
    // A whole piece when there is one, else just what is needed.
    const int64_t pieces = (missing + kPieceBytes - 1) / kPieceBytes;
    if (budget_->Take(pieces * kPieceBytes)) {
      taken_ += pieces * kPieceBytes;
    } else if (budget_->Take(missing)) {
      taken_ += missing;
    } else {
      return false;
    }
  }
  used_ += bytes;
  return true;
}

void MemoryAccount::Release(int64_t bytes) {
  used_ -= bytes;
  // Keeps one piece, so that calls one after the other cost nothing.
  const int64_t spare = taken_ - std::max(used_, int64_t{0}) - kPieceBytes;
  if (spare < kPieceBytes) return;
  budget_->Return(spare);
  taken_ -= spare;
}

void MemoryAccount::ReturnSpare() {
  budget_->Return(taken_ - used_);
  taken_ = used_;
}

}  // namespace tern
