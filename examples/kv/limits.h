#ifndef TERN_EXAMPLES_KV_LIMITS_H_
#define TERN_EXAMPLES_KV_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace kv {

// The limits that kv.proto states: the server refuses what exceeds them, and
// the client cuts its batches by them.
inline constexpr size_t kMaxKeyBytes = 1024;
inline constexpr size_t kMaxValueBytes = 1 << 20;
inline constexpr size_t kMaxBatchEntries = 1024;
inline constexpr size_t kMaxBatchBytes = 2 << 20;  // Keys and values.
inline constexpr size_t kMaxPageEntries = 1000;
inline constexpr size_t kMaxPageBytes = 2 << 20;  // Keys and values.
// Of a scan that does not say how many entries it wants.
inline constexpr size_t kDefaultPageEntries = 100;
inline constexpr size_t kMaxTransactionOperations = 1024;
inline constexpr size_t kMaxTransactionBytes = 2 << 20;  // Keys and values.
inline constexpr absl::Duration kMaxTransactionTime = absl::Minutes(5);
// Of one reply of a watch; a change alone may have more bytes.
inline constexpr size_t kMaxWatchChanges = 256;
inline constexpr size_t kMaxWatchBytes = 256 << 10;  // Keys and values.

static_assert(kMaxKeyBytes + kMaxValueBytes <= kMaxPageBytes,
              "every entry fits a page, so that a scan always advances");

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_LIMITS_H_
