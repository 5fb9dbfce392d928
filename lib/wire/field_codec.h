#ifndef TERN_LIB_WIRE_FIELD_CODEC_H_
#define TERN_LIB_WIRE_FIELD_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tern::wire {

// Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/),
// as far as header blocks need it: read as views, without a copy or an
// allocation, and more strictly than generated code reads it (PROTOCOL.md,
// section 5). Nothing here trusts its input.

enum class WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kFixed32 = 5,
};

// Reads fields one after the other:
//
//   FieldReader reader(block);
//   while (reader.Next()) {
//     switch (reader.field()) { case 1: name = reader.bytes(); ...
//   }
//   if (!reader.ok()) ... malformed
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes)
      : position_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // Moves to the next field; false at the end or when the bytes are malformed.
  bool Next();
  bool ok() const { return ok_; }

  uint32_t field() const { return field_; }
  WireType type() const { return type_; }

  // The value. Reading one of another type marks the reader malformed, and
  // gives 0 or "".
  uint64_t varint() { return Expect(WireType::kVarint) ? number_ : 0; }
  uint64_t fixed64() { return Expect(WireType::kFixed64) ? number_ : 0; }
  std::string_view bytes() {
    return Expect(WireType::kBytes) ? bytes_ : std::string_view();
  }
  // A varint that stands for uint32: higher bits are malformed.
  uint32_t varint32();

  // Call for each field that may occur at most once, below number 64; marks the
  // reader malformed at the second time.
  void Singular();

  void Fail() { ok_ = false; }

 private:
  bool ReadVarint(uint64_t* value);
  bool Expect(WireType type) {
    if (type_ != type) ok_ = false;
    return ok_;
  }

  const char* position_;
  const char* const end_;
  bool ok_ = true;
  uint32_t field_ = 0;
  WireType type_ = WireType::kVarint;
  uint64_t number_ = 0;
  std::string_view bytes_;
  uint64_t seen_ = 0;
};

// Writers: append a field to `out`, at `out`'s end; sizes in bytes.
size_t VarintSize(uint64_t value);
char* WriteVarint(uint64_t value, char* out);
void AppendVarintField(uint32_t field, uint64_t value, std::string* out);
void AppendFixed64Field(uint32_t field, uint64_t value, std::string* out);
void AppendBytesField(uint32_t field, std::string_view value, std::string* out);

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_FIELD_CODEC_H_
