#ifndef TERN_LIB_WIRE_SEND_BUFFER_H_
#define TERN_LIB_WIRE_SEND_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace tern::wire {

// Bytes on their way out: appended at the end, taken from the front, always
// contiguous. Holds no memory while it is empty for longer than a moment: see
// ReleaseIfEmpty. Not thread-safe.
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

  // The bytes not yet taken.
  std::string_view view() const {
    return std::string_view(data_.get() + begin_, end_ - begin_);
  }
  // The last `size` of them.
  char* Tail(size_t size) { return data_.get() + end_ - size; }
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  void Take(size_t size);
  // Forgets what was not taken.
  void Clear();

  // Bytes appended and taken since the beginning of the connection.
  uint64_t total_appended() const { return total_taken_ + size(); }
  uint64_t total_taken() const { return total_taken_; }

  // Gives the memory back when nothing is waiting.
  void ReleaseIfEmpty();

 private:
  void Grow(size_t size);

  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t total_taken_ = 0;
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_SEND_BUFFER_H_
