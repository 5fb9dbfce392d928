#include "tern/lib/wire/send_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tern::wire {
namespace {

constexpr size_t kFirstCapacityBytes = 1024;

}  // namespace

void SendBuffer::Append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(Append(bytes.size()), bytes.data(), bytes.size());
}

void SendBuffer::AppendShared(std::string_view bytes,
                              std::shared_ptr<const char[]> owner) {
  if (bytes.empty()) return;
  shared_.push_back({.position = total_appended(),
                     .bytes = bytes,
                     .owner = std::move(owner)});
  shared_bytes_ += bytes.size();
}

OutputPieces SendBuffer::pieces() const {
  OutputPieces pieces;
  size_t begin = begin_;
  uint64_t position = total_taken_;
  for (const Shared& shared : shared_) {
    if (pieces.size() + 2 > OutputPieces::kMax) return pieces;
    const auto copied = static_cast<size_t>(shared.position - position);
    if (copied != 0) pieces.Add({data_.get() + begin, copied});
    pieces.Add(shared.bytes);
    begin += copied;
    position = shared.position + shared.bytes.size();
  }
  if (begin == end_ || pieces.size() == OutputPieces::kMax) return pieces;
  pieces.Add({data_.get() + begin, end_ - begin});
  return pieces;
}

size_t SendBuffer::TakeShared(size_t size) {
  size_t gone = 0;  // Of shared_.
  while (size != 0 && gone != shared_.size()) {
    Shared& next = shared_[gone];
    const size_t copied =
        std::min(size, static_cast<size_t>(next.position - total_taken_));
    const size_t shared = std::min(size - copied, next.bytes.size());
    begin_ += copied;
    next.position += shared;
    next.bytes.remove_prefix(shared);
    shared_bytes_ -= shared;
    total_taken_ += copied + shared;
    size -= copied + shared;
    if (next.bytes.empty()) ++gone;
  }
  if (gone != 0) shared_.erase(shared_.begin(), shared_.begin() + gone);
  return size;
}

void SendBuffer::Clear() {
  end_ = begin_;
  shared_.clear();
  shared_bytes_ = 0;
  ReleaseIfEmpty();
}

void SendBuffer::ReleaseIfEmpty() {
  if (!empty()) return;
  data_.reset();
  capacity_ = begin_ = end_ = 0;
  std::vector<Shared>().swap(shared_);
}

void SendBuffer::Grow(size_t size) {
  const size_t used = end_ - begin_;
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
