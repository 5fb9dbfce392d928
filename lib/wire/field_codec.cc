#include "tern/lib/wire/field_codec.h"

#include <cstring>

namespace tern::wire {
namespace {

// As everywhere in protobuf: a tag is a varint of 32 bits.
constexpr ptrdiff_t kMaxTagBytes = 5;

uint64_t LoadLittleEndian(const char* bytes, int size) {
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

uint64_t MakeTag(uint32_t field, WireType type) {
  return uint64_t{field} << 3 | static_cast<uint64_t>(type);
}

void AppendVarint(uint64_t value, std::string* out) {
  char buffer[10];
  out->append(buffer, WriteVarint(value, buffer) - buffer);
}

}  // namespace

bool FieldReader::ReadVarint(uint64_t* value) {
  uint64_t result = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (position_ == end_) return false;
    const auto byte = static_cast<unsigned char>(*position_++);
    // The tenth byte has room for one bit: more would not fit in 64.
    if (shift == 63 && byte > 1) return false;
    result |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) {
      *value = result;
      return true;
    }
  }
  return false;
}

bool FieldReader::Next() {
  if (!ok_ || position_ == end_) return false;
  uint64_t tag = 0;
  const char* const start = position_;
  if (!ReadVarint(&tag) || tag > 0xffffffff || (tag >> 3) == 0 ||
      position_ - start > kMaxTagBytes) {
    return ok_ = false;
  }
  field_ = static_cast<uint32_t>(tag >> 3);
  type_ = static_cast<WireType>(tag & 7);
  switch (type_) {
    case WireType::kVarint:
      return ok_ = ReadVarint(&number_);
    case WireType::kFixed64:
    case WireType::kFixed32: {
      const int size = type_ == WireType::kFixed64 ? 8 : 4;
      if (end_ - position_ < size) return ok_ = false;
      number_ = LoadLittleEndian(position_, size);
      position_ += size;
      return true;
    }
    case WireType::kBytes: {
      uint64_t size = 0;
      if (!ReadVarint(&size) ||
          size > static_cast<uint64_t>(end_ - position_)) {
        return ok_ = false;
      }
      bytes_ = std::string_view(position_, size);
      position_ += size;
      return true;
    }
  }
  return ok_ = false;  // Groups, and types that do not exist.
}

uint32_t FieldReader::varint32() {
  const uint64_t value = varint();
  if (value > 0xffffffff) ok_ = false;
  return static_cast<uint32_t>(value);
}

void FieldReader::Singular() {
  const uint64_t bit = uint64_t{1} << (field_ & 63);
  if ((seen_ & bit) != 0) ok_ = false;
  seen_ |= bit;
}

size_t VarintSize(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

char* WriteVarint(uint64_t value, char* out) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}

void AppendVarintField(uint32_t field, uint64_t value, std::string* out) {
  AppendVarint(MakeTag(field, WireType::kVarint), out);
  AppendVarint(value, out);
}

void AppendFixed64Field(uint32_t field, uint64_t value, std::string* out) {
  AppendVarint(MakeTag(field, WireType::kFixed64), out);
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out->append(bytes, 8);
}

void AppendBytesField(uint32_t field, std::string_view value,
                      std::string* out) {
  AppendVarint(MakeTag(field, WireType::kBytes), out);
  AppendVarint(value.size(), out);
  out->append(value);
}

}  // namespace tern::wire
