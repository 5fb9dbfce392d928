#ifndef TERN_LIB_BASE_PRIORITY_TURNS_H_
#define TERN_LIB_BASE_PRIORITY_TURNS_H_

#include <bit>
#include <cstdint>

namespace tern {

// Whose turn is next, of eight classes of priority: that of the highest in
// which something waits; but when others have waited for kOvertakes turns in a
// row, one is theirs, for each of them in succession. So the highest gets eight
// turns of nine whatever else there is, and of whatever waits in a class the
// first gets its turn after at most 7 * 8 + 6 others.
//
// Not thread-safe.
class PriorityTurns {
 public:
  static constexpr unsigned kClasses = 8;
  static constexpr unsigned kOvertakes = 8;

  // `waiting` has a bit for each class in which something waits.
  // REQUIRES: there is one.
  unsigned Next(uint8_t waiting) {
    const unsigned highest = static_cast<unsigned>(std::bit_width(waiting)) - 1;
    const unsigned others = waiting ^ (1u << highest);
    if (others == 0) return highest;
    if (overtakes_ < kOvertakes) {
      ++overtakes_;
      return highest;
    }
    overtakes_ = 0;
    do {
      last_ = (last_ + 1) % kClasses;
    } while ((others >> last_ & 1) == 0);
    return last_;
  }

 private:
  uint8_t overtakes_ = 0;
  uint8_t last_ = kClasses - 1;  // Of the others.
};

}  // namespace tern

#endif  // TERN_LIB_BASE_PRIORITY_TURNS_H_
