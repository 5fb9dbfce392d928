#include "tern/lib/wire/byte_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tern/lib/base/large_blocks.h"
#include "tern/lib/base/log.h"

namespace tern::wire {

void ByteBuffer::Reserve(size_t capacity, size_t likely) {
  if (capacity <= capacity_) return;
  if (capacity >= kMinLargeBlockBytes) capacity = LargeBlockSize(capacity);
  likely = std::max(likely, capacity);
  if (data_ == nullptr && likely >= kMinLargeBlockBytes) {
    const LargeBlock kept = TakeKeptBlock(likely);
    data_ = kept.data;
    capacity_ = kept.size;
    if (data_ != nullptr) return;
  }
  // Of a large one malloc can move the pages instead of the bytes.
  auto* const data = static_cast<char*>(std::realloc(data_, capacity));
  if (data == nullptr) throw std::bad_alloc();
  data_ = data;
  capacity_ = capacity;
}

void ByteBuffer::Append(std::string_view bytes) {
  TERN_DCHECK(bytes.size() <= capacity_ - size_);
  if (!bytes.empty()) std::memcpy(end(), bytes.data(), bytes.size());
  size_ += bytes.size();
}

void ByteBuffer::Reset() {
  if (data_ != nullptr) GiveBlock({.data = data_, .size = capacity_});
  data_ = nullptr;
  size_ = capacity_ = 0;
}

}  // namespace tern::wire
