#ifndef TERN_LIB_WIRE_SEND_BUFFER_H_
#define TERN_LIB_WIRE_SEND_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tern/lib/wire/pieces.h"

namespace tern::wire {

// Bytes on their way out: appended at the end, taken from the front. Short ones
// are copied and lie next to each other; long ones stay where they are. Holds
// no memory while it is empty for longer than a moment: see ReleaseIfEmpty. Not
// thread-safe.
class SendBuffer {
 public:
  // Room for `size` bytes at the end, to be written by the caller before the
  // next call; valid until then.
  char* Append(size_t size) {
    if (capacity_ - end_ < size) Grow(size);
    char* position = data_.get() + end_;
    end_ += size;
    return position;
  }
  void Append(std::string_view bytes);
  // `owner` keeps the bytes until they have been taken.
  void AppendShared(std::string_view bytes,
                    std::shared_ptr<const char[]> owner);

  // The first of the bytes not yet taken; not empty when there are any.
  OutputPieces pieces() const;
  // The last `size` bytes, all of which Append has made.
  char* Tail(size_t size) { return data_.get() + end_ - size; }
  size_t size() const { return end_ - begin_ + shared_bytes_; }
  bool empty() const { return size() == 0; }
  void Take(size_t size) {
    if (!shared_.empty()) size = TakeShared(size);
    begin_ += size;
    total_taken_ += size;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // Forgets what was not taken.
  void Clear();

  // Bytes appended and taken since the beginning of the connection.
  uint64_t total_appended() const { return total_taken_ + size(); }
  uint64_t total_taken() const { return total_taken_; }

  // Gives the memory back when nothing is waiting.
  void ReleaseIfEmpty();

 private:
  struct Shared {
    uint64_t position;  // In all that has been appended.
    std::string_view bytes;
    std::shared_ptr<const char[]> owner;
  };

  void Grow(size_t size);
  // Takes up to `size` bytes, as long as there are shared ones; returns what is
  // left of `size`.
  size_t TakeShared(size_t size);

  // The copied bytes.
  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  // What stays where it is, between some of the copied bytes, in order.
  std::vector<Shared> shared_;
  size_t shared_bytes_ = 0;
  uint64_t total_taken_ = 0;
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_SEND_BUFFER_H_
