#ifndef TERN_LIB_WIRE_CRC32C_H_
#define TERN_LIB_WIRE_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace tern::wire {

// CRC32C (Castagnoli, as in RFC 3720, appendix B.4) of `bytes`: "123456789" has
// 0xe3069283.
uint32_t Crc32c(std::string_view bytes);

}  // namespace tern::wire

#endif  // TERN_LIB_WIRE_CRC32C_H_
