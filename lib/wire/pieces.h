#ifndef TERN_LIB_WIRE_PIECES_H_
#define TERN_LIB_WIRE_PIECES_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "tern/lib/base/log.h"

namespace tern::wire {

// Up to 16 views of bytes that belong one after the other, as a system call
// takes them. On the stack, and what is not used of it is not even cleared:
// there are two for each turn of a connection.
template <typename View>
class Pieces {
 public:
  static constexpr size_t kMax = 16;

  Pieces() {}  // NOLINT: "= default" would be deleted.

  // REQUIRES: size() < kMax.
  void Add(View piece) {
    TERN_DCHECK(size_ < kMax);
    pieces_[size_++] = piece;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const View* data() const { return pieces_; }
  const View* begin() const { return pieces_; }
  const View* end() const { return pieces_ + size_; }
  const View& operator[](size_t i) const { return pieces_[i]; }

  // In bytes, all together.
  size_t bytes() const {
    size_t bytes = 0;
    for (const View& piece : *this) bytes += piece.size();
    return bytes;
  }

 private:
  size_t size_ = 0;
  union {
    View pieces_[kMax];
  };
};

// To be sent; and places to be filled.
using OutputPieces = Pieces<std::string_view>;
using InputPieces = Pieces<std::span<char>>;

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_PIECES_H_
