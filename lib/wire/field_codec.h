#ifndef TERN_LIB_WIRE_FIELD_CODEC_H_
#define TERN_LIB_WIRE_FIELD_CODEC_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/attributes.h"

namespace tern::wire {

// Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/),
// as far as header blocks need it: read as views, without a copy or an
// allocation, and more strictly than generated code reads it (PROTOCOL.md,
// section 5). Nothing here trusts its input.

// GCC 12 does not make one instruction of a loop over the bytes.
inline uint64_t LoadLittleEndian64(const char* bytes) {
  static_assert(std::endian::native == std::endian::little);
  uint64_t number;
  std::memcpy(&number, bytes, sizeof(number));
  return number;
}
inline void StoreLittleEndian64(uint64_t number, char* bytes) {
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(bytes, &number, sizeof(number));
}

enum class WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kFixed32 = 5,
};

constexpr uint32_t MakeTag(uint32_t field, WireType type) {
  return field << 3 | static_cast<uint32_t>(type);
}

// Reads fields one after the other:
//
//   FieldReader reader(block);
//   while (reader.Next()) {
//     switch (reader.tag()) {
//       case MakeTag(1, WireType::kBytes):
//         reader.Singular();
//         name = reader.bytes();
//         break;
//       default:
//         reader.Unknown(1);
//     }
//   }
//   if (!reader.ok()) ... malformed
//
// Inline as far as a field of few bytes needs it, so that the reader lives in
// registers: a field costs 30 instructions, and 90 otherwise.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes)
      : position_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // Moves to the next field; false at the end or when the bytes are malformed.
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool Next() {
    if (unread_) Advance(SkipValue(type(), position_, end_));
    if (position_ == end_) return false;
    unread_ = true;
    tag_ = static_cast<unsigned char>(*position_);
    if (tag_ < 0x80) {
      ++position_;
    } else {
      tag_ = ReadLongTag();
    }
    if (field() != 0) return true;
    Fail();
    return false;
  }
  bool ok() const { return ok_; }

  uint32_t tag() const { return tag_; }
  uint32_t field() const { return tag_ >> 3; }
  WireType type() const { return static_cast<WireType>(tag_ & 7); }

  // The value, to be read once. Reading one of another type marks the reader
  // malformed, and gives 0 or "".
  ABSL_ATTRIBUTE_ALWAYS_INLINE uint64_t varint() {
    return Expect(WireType::kVarint) ? ReadVarint() : 0;
  }
  // A varint that stands for uint32: higher bits are malformed.
  uint32_t varint32() {
    const uint64_t value = varint();
    if (value > 0xffffffff) Fail();
    return static_cast<uint32_t>(value);
  }
  uint64_t fixed64() { return Expect(WireType::kFixed64) ? ReadFixed64() : 0; }
  ABSL_ATTRIBUTE_ALWAYS_INLINE std::string_view bytes() {
    return Expect(WireType::kBytes) ? ReadBytes() : std::string_view();
  }

  // Call for each field that may occur at most once, below number 64; marks the
  // reader malformed at the second time.
  void Singular() {
    const uint64_t bit = uint64_t{1} << (field() & 63);
    if ((seen_ & bit) != 0) Fail();
    seen_ |= bit;
  }

  // Call for any other tag, where the fields up to `last` are known: one of
  // those is of another type, and malformed.
  void Unknown(uint32_t last) {
    if (field() <= last) Fail();
  }

  void Fail() {
    ok_ = false;
    unread_ = false;
    position_ = end_;
  }

 private:
  // As everywhere in protobuf: a tag is a varint of 32 bits.
  static constexpr ptrdiff_t kMaxTagBytes = 5;

  // A varint and its end; malformed: 0 and nullptr.
  struct Varint {
    uint64_t value;
    const char* end;
  };
  static Varint ReadLongVarint(const char* position, const char* end);
  // The end of a value; nullptr when malformed.
  static const char* SkipValue(WireType type, const char* position,
                               const char* end);

  void Advance(const char* position) {
    if (position == nullptr) {
      Fail();
    } else {
      position_ = position;
    }
  }
  ABSL_ATTRIBUTE_ALWAYS_INLINE uint64_t ReadVarint() {
    if (position_ != end_ && (*position_ & 0x80) == 0) {
      return static_cast<unsigned char>(*position_++);
    }
    const Varint varint = ReadLongVarint(position_, end_);
    Advance(varint.end);
    return varint.value;
  }
  // 0 when malformed.
  uint32_t ReadLongTag() {
    const Varint varint = ReadLongVarint(position_, end_);
    if (varint.value > 0xffffffff || varint.end - position_ > kMaxTagBytes) {
      return 0;
    }
    Advance(varint.end);
    return static_cast<uint32_t>(varint.value);
  }
  ABSL_ATTRIBUTE_ALWAYS_INLINE std::string_view ReadBytes() {
    const uint64_t size = ReadVarint();
    if (size > static_cast<uint64_t>(end_ - position_)) {
      Fail();
      return {};
    }
    return {std::exchange(position_, position_ + size), size};
  }
  uint64_t ReadFixed64() {
    if (end_ - position_ < 8) {
      Fail();
      return 0;
    }
    return LoadLittleEndian64(std::exchange(position_, position_ + 8));
  }
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool Expect(WireType expected) {
    unread_ = false;
    if (type() == expected) return true;
    Fail();
    return false;
  }

  const char* position_;  // end_ when malformed.
  const char* const end_;
  bool ok_ = true;
  bool unread_ = false;  // The field's value.
  uint32_t tag_ = 0;
  uint64_t seen_ = 0;
};

// Writing: which fields a block has is said once, and done twice, by a
// FieldSizer and then by a FieldWriter with as much room.
//
//   template <typename Fields>
//   void Put(const Thing& thing, Fields& fields) {
//     fields.Bytes(1, thing.name);
//     fields.Message(2, [&](auto& inner) { inner.Varint(1, thing.size); });
//   }
inline size_t VarintSize(uint64_t value) {
  // bits / 7, rounded up, for up to 64 bits.
  return (static_cast<size_t>(std::bit_width(value | 1)) * 9 + 64) / 64;
}
inline char* WriteVarint(uint64_t value, char* out) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}
class FieldSizer {
 public:
  void Varint(uint32_t field, uint64_t value) { Add(field, VarintSize(value)); }
  void Fixed64(uint32_t field, uint64_t /*value*/) { Add(field, 8); }
  void Bytes(uint32_t field, std::string_view value) {
    Add(field, VarintSize(value.size()) + value.size());
  }
  template <typename Put>
  void Message(uint32_t field, const Put& put) {
    FieldSizer inner;
    put(inner);
    Add(field, VarintSize(inner.size_) + inner.size_);
  }
  size_t size() const { return size_; }

 private:
  void Add(uint32_t field, size_t value_bytes) {
    size_ += VarintSize(MakeTag(field, WireType::kVarint)) + value_bytes;
  }
  size_t size_ = 0;
};

class FieldWriter {
 public:
  explicit FieldWriter(char* out) : out_(out) {}
  void Varint(uint32_t field, uint64_t value) {
    Tag(field, WireType::kVarint);
    out_ = WriteVarint(value, out_);
  }
  void Fixed64(uint32_t field, uint64_t value) {
    Tag(field, WireType::kFixed64);
    StoreLittleEndian64(value, out_);
    out_ += 8;
  }
  void Bytes(uint32_t field, std::string_view value) {
    Tag(field, WireType::kBytes);
    out_ = WriteVarint(value.size(), out_);
    if (!value.empty()) std::memcpy(out_, value.data(), value.size());
    out_ += value.size();
  }
  template <typename Put>
  void Message(uint32_t field, const Put& put) {
    FieldSizer inner;
    put(inner);
    Tag(field, WireType::kBytes);
    out_ = WriteVarint(inner.size(), out_);
    put(*this);
  }

 private:
  void Tag(uint32_t field, WireType type) {
    out_ = WriteVarint(MakeTag(field, type), out_);
  }
  char* out_;
};

// Both, for `put(fields)`, at the end of a string.
template <typename Put>
void AppendFields(const Put& put, std::string* out) {
  FieldSizer sizer;
  put(sizer);
  const size_t start = out->size();
  out->resize(start + sizer.size());
  FieldWriter writer(out->data() + start);
  put(writer);
}

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_FIELD_CODEC_H_
