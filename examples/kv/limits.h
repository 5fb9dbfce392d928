#ifndef TERN_EXAMPLES_KV_LIMITS_H_
#define TERN_EXAMPLES_KV_LIMITS_H_

#include <cstddef>

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

static_assert(kMaxKeyBytes + kMaxValueBytes <= kMaxPageBytes,
              "every entry fits a page, so that a scan always advances");

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_LIMITS_H_
