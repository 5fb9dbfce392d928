#include "tern/lib/wire/send_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tern/lib/base/large_blocks.h"

namespace tern::wire {

void SendBuffer::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(Append(bytes.size()), bytes.data(), bytes.size());
}

void SendBuffer::AppendElsewhere(std::string_view bytes,
                                 std::shared_ptr<const char[]> owner,
                                 uint32_t lender) {
  if (bytes.empty()) return;
  elsewhere_.push_back({.position = total_appended(),
                        .bytes = bytes,
                        .owner = std::move(owner),
                        .lender = lender});
  elsewhere_bytes_ += bytes.size();
}

void SendBuffer::CopyLent(uint32_t lender) {
  for (Elsewhere& lent : elsewhere_) {
    if (lent.lender != lender) continue;
    const std::shared_ptr<char[]> copy = MakeSharedBytes(lent.bytes.size());
    std::memcpy(copy.get(), lent.bytes.data(), lent.bytes.size());
    lent.bytes = {copy.get(), lent.bytes.size()};
    lent.owner = copy;
    lent.lender = kNobody;
  }
}

OutputPieces SendBuffer::pieces() const {
  OutputPieces pieces;
  size_t begin = begin_;
  uint64_t position = total_taken_;
  for (const Elsewhere& next : elsewhere_) {
    if (pieces.size() + 2 > OutputPieces::kMax) return pieces;
    const auto copied = static_cast<size_t>(next.position - position);
    if (copied != 0) pieces.Add({data_ + begin, copied});
    pieces.Add(next.bytes);
    begin += copied;
    position = next.position + next.bytes.size();
  }
  if (begin == end_ || pieces.size() == OutputPieces::kMax) return pieces;
  pieces.Add({data_ + begin, end_ - begin});
  return pieces;
}

size_t SendBuffer::TakeWithElsewhere(size_t size) {
  size_t gone = 0;  // Of elsewhere_.
  while (size != 0 && gone != elsewhere_.size()) {
    Elsewhere& next = elsewhere_[gone];
    const size_t copied =
        std::min(size, static_cast<size_t>(next.position - total_taken_));
    const size_t other = std::min(size - copied, next.bytes.size());
    begin_ += copied;
    next.position += other;
    next.bytes.remove_prefix(other);
    elsewhere_bytes_ -= other;
    total_taken_ += copied + other;
    size -= copied + other;
    if (next.bytes.empty()) ++gone;
  }
  elsewhere_.erase(elsewhere_.begin(), elsewhere_.begin() + gone);
  return size;
}

void SendBuffer::Clear() {
  end_ = begin_;
  elsewhere_.clear();
  elsewhere_bytes_ = 0;
  ReleaseIfEmpty();
}

void SendBuffer::ReleaseIfEmpty() {
  if (!empty()) return;
  FreeCopied();
  std::vector<Elsewhere>().swap(elsewhere_);
}

void SendBuffer::FreeCopied() {
  if (capacity_ == OutputBlocks::kBytes) {
    OutputBlocks::Give(data_);
  } else {
    delete[] data_;
  }
  data_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

void SendBuffer::MakeRoom(size_t size) {
  // (Calls nothing on the way of a call, and so saves no registers.)
  if (capacity_ != 0 || size > OutputBlocks::kBytes) return Grow(size);
  data_ = OutputBlocks::TakeKept();
  if (data_ == nullptr) return Grow(size);
  capacity_ = OutputBlocks::kBytes;
}

void SendBuffer::Grow(size_t size) {
  const size_t used = end_ - begin_;
  if (capacity_ == 0 && size <= OutputBlocks::kBytes) {
    data_ = OutputBlocks::Take();
    capacity_ = OutputBlocks::kBytes;
    return;
  }
  // Moving what waits to the front is enough when that frees half: each byte is
  // then moved at most once for each byte appended.
  if (used + size <= capacity_ && used <= capacity_ / 2) {
    std::memmove(data_, data_ + begin_, used);
    begin_ = 0;
    end_ = used;
    return;
  }
  const size_t capacity =
      std::max({2 * OutputBlocks::kBytes, 2 * capacity_, used + size});
  auto* const data = new char[capacity];
  if (used != 0) std::memcpy(data, data_ + begin_, used);
  FreeCopied();
  data_ = data;
  capacity_ = capacity;
  end_ = used;
}

}  // namespace tern::wire
