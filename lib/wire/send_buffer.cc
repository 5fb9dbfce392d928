#include "tern/lib/wire/send_buffer.h"

#include <algorithm>
#include <cstring>

namespace tern::wire {
namespace {

constexpr size_t kFirstCapacityBytes = 1024;

}  // namespace

void SendBuffer::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(Append(bytes.size()), bytes.data(), bytes.size());
}

void SendBuffer::Take(size_t size) {
  begin_ += size;
  total_taken_ += size;
  if (begin_ == end_) begin_ = end_ = 0;
}

void SendBuffer::Clear() {
  end_ = begin_;
  ReleaseIfEmpty();
}

void SendBuffer::ReleaseIfEmpty() {
  if (!empty()) return;
  data_.reset();
  capacity_ = begin_ = end_ = 0;
}

void SendBuffer::Grow(size_t size) {
  const size_t used = this->size();
  // Moving what waits to the front is enough when that frees half: each byte is
  // then moved at most once for each byte appended.
  if (used + size <= capacity_ && used <= capacity_ / 2) {
    std::memmove(data_.get(), data_.get() + begin_, used);
  } else {
    const size_t capacity =
        std::max({kFirstCapacityBytes, 2 * capacity_, used + size});
    std::unique_ptr<char[]> data(new char[capacity]);
    if (used != 0) std::memcpy(data.get(), data_.get() + begin_, used);
    data_ = std::move(data);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = used;
}

}  // namespace tern::wire
