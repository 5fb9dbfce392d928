#ifndef TERN_LIB_WIRE_STREAM_TABLE_H_
#define TERN_LIB_WIRE_STREAM_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tern/lib/wire/frame.h"
#include "tern/lib/wire/stream.h"

namespace tern::wire {

// The streams of a session, by id. Their memory is used again, by all sessions
// that the thread drives, so that a call allocates nothing and an idle session
// holds none: with absl::flat_hash_map and unique_ptr a stream cost 500
// instructions more.
//
// A chained hash table. Ids are the client's choice: were the hash function
// known to it, it could have all its calls in one chain, and each frame would
// walk along all of them. So the function depends on a number picked at random.
//
// While it is small, all are in one chain: it holds no memory of the heap
// before it has had more than kMaxUnhashed at once, and after ReleaseMemory().
// Not thread-safe.
class StreamTable {
 public:
  static constexpr size_t kMaxUnhashed = 4;

  StreamTable() = default;
  ~StreamTable();
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // nullptr when it is not here.
  Stream* Find(StreamId id) const {
    if (size_ == 0) return nullptr;
    Stream* stream = buckets_[BucketOf(id)];
    while (stream != nullptr && stream->id_ != id) stream = stream->next_;
    return stream;
  }

  // A new stream. REQUIRES: `id` is not here.
  Stream* Add(StreamId id);

  // `stream` is not found any more; the object lives until Reclaim().
  void Remove(Stream* stream);
  void Reclaim() {
    if (removed_ != nullptr) ReclaimRemoved();
  }

  // Calls `function(Stream&)` for each, in no order. It does not add or remove
  // any.
  template <typename Function>
  void ForEach(const Function& function) const {
    if (size_ == 0) return;
    for (size_t i = 0; i < bucket_count(); ++i) {
      for (Stream* at = buckets_[i]; at != nullptr; at = at->next_) {
        function(*at);
      }
    }
  }
  // In increasing order: for what may remove streams on the way.
  std::vector<StreamId> Ids() const;

  // Frees what is only kept for speed.
  void ReleaseMemory();

  // The most steps that a Find may take: for tests.
  size_t LongestChain() const;

 private:
  size_t bucket_count() const { return size_t{1} << bits_; }
  // The highest bits of a product are its best, but evenly spaced ids may meet
  // there all the same, for some factors; for the second product they are not
  // evenly spaced any more. (2^64 / the golden ratio.)
  size_t BucketOf(StreamId id) const {
    const uint64_t hash = id * multiplier_;
    // (In two steps, as there may be no bits at all.)
    return static_cast<size_t>((hash ^ hash >> 32) * 0x9e3779b97f4a7c15 >> 1 >>
                               (63 - bits_));
  }
  void Grow();
  void Link(Stream* stream) {
    Stream*& head = buckets_[BucketOf(stream->id_)];
    stream->next_ = head;
    head = stream;
  }
  void ReclaimRemoved();
  static Stream* NewStream();
  static void Free(Stream* stream);

  bool hashed() const { return bits_ != 0; }
  void Unhash();

  Stream** buckets_ = &all_;  // bucket_count() of them.
  Stream* all_ = nullptr;     // The only bucket, while it is small.
  uint64_t multiplier_ = 0;
  uint32_t bits_ = 0;
  uint32_t size_ = 0;
  Stream* removed_ = nullptr;  // Linked by next_.
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_STREAM_TABLE_H_
