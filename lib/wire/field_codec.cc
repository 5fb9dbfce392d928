#include "tern/lib/wire/field_codec.h"

namespace tern::wire {

// Also for those of one byte.
FieldReader::Varint FieldReader::ReadLongVarint(const char* position,
                                                const char* end) {
  uint64_t value = 0;
// So that the shifts are constants.
#pragma GCC unroll 10
  for (int shift = 0; shift < 70; shift += 7) {
    if (position == end) break;
    const auto byte = static_cast<unsigned char>(*position++);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) {
      // The tenth byte has room for one bit: more would not fit in 64.
      if (shift == 63 && byte > 1) break;
      return {.value = value, .end = position};
    }
  }
  return {.value = 0, .end = nullptr};
}

const char* FieldReader::SkipValue(WireType type, const char* position,
                                   const char* end) {
  uint64_t size = 0;
  switch (type) {
    case WireType::kVarint:
      return ReadLongVarint(position, end).end;
    case WireType::kFixed64:
      size = 8;
      break;
    case WireType::kBytes: {
      const Varint varint = ReadLongVarint(position, end);
      if (varint.end == nullptr) return nullptr;
      position = varint.end;
      size = varint.value;
      break;
    }
    case WireType::kFixed32:
      size = 4;
      break;
    default:
      return nullptr;  // Groups, and types that do not exist.
  }
  return size > static_cast<uint64_t>(end - position) ? nullptr
                                                      : position + size;
}

}  // namespace tern::wire
