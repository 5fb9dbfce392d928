#ifndef TERN_LIB_WIRE_SEND_BUFFER_H_
#define TERN_LIB_WIRE_SEND_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "tern/lib/wire/output_blocks.h"
#include "tern/lib/wire/pieces.h"

namespace tern::wire {

// Bytes on their way out: appended at the end, taken from the front. Short ones
// are copied and lie next to each other; long ones stay where they are. Not
// thread-safe.
//
// While it is empty it holds no memory, or what it has grown to: that is kept
// until ReleaseIfEmpty(). The little that it begins with it borrows (see
// OutputBlocks): thousands of connections that say a word now and then would
// otherwise each have their own, and leave a hole in the heap.
class SendBuffer {
 public:
  static constexpr uint32_t kNobody = 0;

  SendBuffer() = default;
  ~SendBuffer() { FreeCopied(); }
  SendBuffer(const SendBuffer&) = delete;
  SendBuffer& operator=(const SendBuffer&) = delete;

  // Room for `size` bytes at the end, to be written by the caller before the
  // next call; valid until then.
  char* Append(size_t size) {
    if (capacity_ - end_ < size) MakeRoom(size);
    char* position = data_ + end_;
    end_ += size;
    return position;
  }
  void Append(std::string_view bytes);
  // `owner` keeps the bytes until they have been taken.
  void AppendShared(std::string_view bytes,
                    std::shared_ptr<const char[]> owner) {
    AppendElsewhere(bytes, std::move(owner), kNobody);
  }
  // `lender`, not kNobody, keeps them until CopyLent() at the latest.
  void AppendLent(std::string_view bytes, uint32_t lender) {
    AppendElsewhere(bytes, nullptr, lender);
  }
  // `lender` is about to stop keeping what he has lent.
  void CopyLent(uint32_t lender);

  // The first of the bytes not yet taken; not empty when there are any.
  OutputPieces pieces() const;
  // The last `size` bytes, all of which Append has made.
  char* Tail(size_t size) { return data_ + end_ - size; }
  size_t size() const { return end_ - begin_ + elsewhere_bytes_; }
  bool empty() const { return size() == 0; }
  void Take(size_t size) {
    if (!elsewhere_.empty()) size = TakeWithElsewhere(size);
    begin_ += size;
    total_taken_ += size;
    if (begin_ == end_) Rewind();
  }
  // Forgets what was not taken.
  void Clear();

  // Bytes appended and taken since the beginning of the connection.
  uint64_t total_appended() const { return total_taken_ + size(); }
  uint64_t total_taken() const { return total_taken_; }

  // Gives all memory back when nothing is waiting.
  void ReleaseIfEmpty();

 private:
  struct Elsewhere {
    uint64_t position;  // In all that has been appended.
    std::string_view bytes;
    std::shared_ptr<const char[]> owner;
    uint32_t lender;
  };

  void AppendElsewhere(std::string_view bytes,
                       std::shared_ptr<const char[]> owner, uint32_t lender);
  void MakeRoom(size_t size);
  void Grow(size_t size);
  // Of copied bytes there are none.
  void Rewind() {
    begin_ = end_ = 0;
    if (capacity_ != OutputBlocks::kBytes) return;
    OutputBlocks::Give(data_);
    data_ = nullptr;
    capacity_ = 0;
  }
  void FreeCopied();
  // Takes up to `size` bytes, as long as some are elsewhere; returns what is
  // left of `size`.
  size_t TakeWithElsewhere(size_t size);

  // The copied bytes.
  char* data_ = nullptr;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  // What stays where it is, between some of the copied bytes, in order.
  std::vector<Elsewhere> elsewhere_;
  size_t elsewhere_bytes_ = 0;
  uint64_t total_taken_ = 0;
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_SEND_BUFFER_H_
