#include "tern/lib/wire/crc32c.h"

#include <string>

#include "gtest/gtest.h"

namespace tern::wire {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, GivesThePublishedValues) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending, descending;
  for (int i = 0; i < 32; ++i) {
    ascending.push_back(static_cast<char>(i));
    descending.push_back(static_cast<char>(31 - i));
  }
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(Crc32c(descending), 0x113fdb5cu);
}

// Eight bytes at a time or one: the same.
TEST(Crc32c, AgreesWithTheDefinitionAtEveryLength) {
  std::string bytes;
  for (int size = 0; size < 100; ++size) {
    uint32_t crc = 0xffffffff;
    for (const char c : bytes) {
      crc ^= static_cast<unsigned char>(c);
      for (int bit = 0; bit < 8; ++bit) {
        crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
      }
    }
    EXPECT_EQ(Crc32c(bytes), ~crc) << size;
    bytes.push_back(static_cast<char>(size * 37));
  }
}

}  // namespace
}  // namespace tern::wire
