#include "tern/lib/wire/stream_table.h"

#include <algorithm>
#include <random>
#include <utility>

#include "tern/lib/base/log.h"
#include "tern/lib/base/recycling_allocator.h"

namespace tern::wire {
namespace {

constexpr uint32_t kFirstBits = 3;

// One for the process: getting it is a system call.
uint64_t Multiplier() {
  static const uint64_t multiplier = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random() | 1;
  }();
  return multiplier;
}

}  // namespace

Stream* StreamTable::Add(StreamId id) {
  TERN_DCHECK(Find(id) == nullptr);
  if (size_ >= kMaxUnhashed && (!hashed() || size_ == bucket_count())) Grow();
  Stream* const stream = NewStream();
  stream->id_ = id;
  Link(stream);
  ++size_;
  return stream;
}

void StreamTable::Remove(Stream* stream) {
  Stream** link = &buckets_[BucketOf(stream->id_)];
  while (*link != stream) link = &(*link)->next_;
  *link = stream->next_;
  stream->next_ = removed_;
  removed_ = stream;
  --size_;
}

void StreamTable::ReclaimRemoved() {
  while (removed_ != nullptr) {
    Free(std::exchange(removed_, removed_->next_));
  }
}

void StreamTable::Grow() {
  Stream** const before = buckets_;
  const size_t count = bucket_count();
  const bool was_hashed = hashed();
  multiplier_ = Multiplier();
  bits_ = was_hashed ? bits_ + 1 : kFirstBits;
  buckets_ = new Stream*[bucket_count()]();
  for (size_t i = 0; i < count; ++i) {
    for (Stream* at = before[i]; at != nullptr;) {
      Link(std::exchange(at, at->next_));
    }
  }
  if (was_hashed) delete[] before;
  all_ = nullptr;
}

void StreamTable::Unhash() {
  if (hashed()) delete[] buckets_;
  buckets_ = &all_;
  bits_ = 0;
}

std::vector<StreamId> StreamTable::Ids() const {
  std::vector<StreamId> ids;
  ids.reserve(size_);
  ForEach([&ids](const Stream& stream) { ids.push_back(stream.id()); });
  std::sort(ids.begin(), ids.end());
  return ids;
}

size_t StreamTable::LongestChain() const {
  size_t longest = 0;
  for (size_t i = 0; !empty() && i < bucket_count(); ++i) {
    size_t length = 0;
    for (Stream* at = buckets_[i]; at != nullptr; at = at->next_) ++length;
    longest = std::max(longest, length);
  }
  return longest;
}

Stream* StreamTable::NewStream() {
  return new (RecyclingAllocator<Stream>().allocate(1)) Stream;
}

void StreamTable::Free(Stream* stream) {
  stream->~Stream();
  RecyclingAllocator<Stream>().deallocate(stream, 1);
}

void StreamTable::ReleaseMemory() {
  if (empty()) Unhash();
}

StreamTable::~StreamTable() {
  Reclaim();
  for (size_t i = 0; i < bucket_count(); ++i) {
    Stream* at = buckets_[i];
    while (at != nullptr) Free(std::exchange(at, at->next_));
  }
  all_ = nullptr;
  Unhash();
}

}  // namespace tern::wire
