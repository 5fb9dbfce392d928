#ifndef TERN_LIB_WIRE_BYTE_BUFFER_H_
#define TERN_LIB_WIRE_BYTE_BUFFER_H_

#include <cstddef>
#include <string_view>
#include <utility>

namespace tern::wire {

// Bytes in one piece that grows at its end. Unlike std::string it does not
// clear room that is about to be written; the memory of a large one is used
// again (lib/base/large_blocks.h). Not thread-safe.
class ByteBuffer {
 public:
  ByteBuffer() = default;
  ByteBuffer(ByteBuffer&& other) noexcept { *this = std::move(other); }
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    if (this == &other) return *this;
    Reset();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }
  ~ByteBuffer() { Reset(); }

  std::string_view view() const { return {data_, size_}; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t capacity() const { return capacity_; }

  // Room for `capacity` bytes in all; keeps what stands in the room behind the
  // bytes, too. An empty buffer takes more, up to `likely`, if memory for that
  // lies ready.
  void Reserve(size_t capacity, size_t likely = 0);
  // The room behind the bytes: capacity() - size().
  char* end() { return data_ + size_; }
  // The first `size` bytes of the room have been written.
  void Extend(size_t size) { size_ += size; }
  // REQUIRES: there is room.
  void Append(std::string_view bytes);

  void Truncate(size_t size) { size_ = size; }
  // Frees the memory.
  void Reset();

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_BYTE_BUFFER_H_
