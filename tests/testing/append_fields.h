#ifndef TERN_TESTS_TESTING_APPEND_FIELDS_H_
#define TERN_TESTS_TESTING_APPEND_FIELDS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "tern/lib/wire/field_codec.h"

namespace tern::wire {

// Blocks put together field by field, the malformed ones too.
inline void AppendVarintField(uint32_t field, uint64_t value,
                              std::string* out) {
  AppendFields([&](auto& fields) { fields.Varint(field, value); }, out);
}
inline void AppendFixed64Field(uint32_t field, uint64_t value,
                               std::string* out) {
  AppendFields([&](auto& fields) { fields.Fixed64(field, value); }, out);
}
inline void AppendBytesField(uint32_t field, std::string_view value,
                             std::string* out) {
  AppendFields([&](auto& fields) { fields.Bytes(field, value); }, out);
}

}  // namespace tern::wire

#endif  // TERN_TESTS_TESTING_APPEND_FIELDS_H_
