// Both codecs: what they promise to Compressor's users, whatever comes in.

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tern/lib/base/large_blocks.h"
#include "tern/lib/call/compression.h"
#include "tern/lib/compress/gzip_compressor.h"
#include "tern/lib/compress/zstd_compressor.h"
#include "tern/lib/wire/byte_buffer.h"

namespace tern {
namespace {

using Inflated = Compressor::Inflated;

constexpr size_t kLimit = size_t{1} << 20;

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(
        std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// Words, so that there is something to be found in it.
std::string Text(size_t size) {
  std::string text;
  for (uint32_t i = 0; text.size() < size; ++i) {
    text += "word " + std::to_string(i * i % 997) + " ";
  }
  text.resize(size);
  return text;
}

std::string Noise(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1'664'525 + 1'013'904'223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

class CompressorTest : public ::testing::TestWithParam<Compression> {
 protected:
  const Compressor& codec() const {
    return GetParam() == Compression::kGzip ? *GzipCompressor()
                                            : *ZstdCompressor();
  }
  std::string Compress(std::string_view bytes) const {
    std::string out(bytes.size() + 1000, '\0');
    out.resize(codec().Compress(bytes, out.data(), out.size()));
    EXPECT_FALSE(out.empty());
    return out;
  }
  // Into inflated_; counts what memory was asked for.
  Inflated Inflate(std::string_view bytes, size_t limit = kLimit) {
    inflated_.Reset();
    reserved_ = 0;
    return codec().Inflate(
        bytes, limit,
        [this](size_t more) {
          if (more > room_ - reserved_) return false;
          reserved_ += more;
          return true;
        },
        &inflated_);
  }

  wire::ByteBuffer inflated_;
  size_t reserved_ = 0;
  size_t room_ = static_cast<size_t>(-1);
};

INSTANTIATE_TEST_SUITE_P(Codecs, CompressorTest,
                         ::testing::Values(Compression::kGzip,
                                           Compression::kZstd),
                         [](const auto& info) {
                           return std::string(NameOf(info.param));
                         });

TEST_P(CompressorTest, IsWhatItSays) {
  EXPECT_EQ(codec().compression(), GetParam());
}

TEST_P(CompressorTest, GivesBackWhatWasCompressed) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{4095},
                            size_t{4096}, size_t{100'000}, kLimit}) {
    for (const std::string& bytes :
         {Text(size), Noise(size), std::string(size, '\0')}) {
      ASSERT_EQ(Inflate(Compress(bytes)), Inflated::kDone) << size;
      ASSERT_TRUE(inflated_.view() == bytes) << size;
      EXPECT_GE(reserved_, bytes.size());
    }
  }
}

TEST_P(CompressorTest, NeedsTheRoomThatItNeeds) {
  const std::string text = Text(10'000);
  const std::string compressed = Compress(text);
  EXPECT_LT(compressed.size(), text.size() / 2);
  // A codec may want some room to work in, but not to be told of less.
  std::string out(compressed.size() - 1, '\0');
  EXPECT_EQ(codec().Compress(text, out.data(), out.size()), 0u);
  const std::string noise = Noise(10'000);
  out.resize(noise.size() - 1);
  EXPECT_EQ(codec().Compress(noise, out.data(), out.size()), 0u);
  // And is none the worse for it.
  EXPECT_EQ(Inflate(Compress(text)), Inflated::kDone);
}

TEST_P(CompressorTest, StopsAtTheLimit) {
  for (const size_t limit : {size_t{0}, size_t{1}, size_t{4095}, size_t{4096},
                             size_t{4097}, size_t{100'000}}) {
    EXPECT_EQ(Inflate(Compress(Text(limit)), limit), Inflated::kDone) << limit;
    EXPECT_EQ(inflated_.size(), limit);
    EXPECT_EQ(Inflate(Compress(Text(limit + 1)), limit), Inflated::kTooLong)
        << limit;
    EXPECT_LE(inflated_.capacity(), LargeBlockSize(limit + 1));
  }
}

TEST_P(CompressorTest, TakesNoMemoryForABombBeyondTheLimit) {
  const std::string bomb = Compress(std::string(200 * kLimit, '\0'));
  ASSERT_LT(bomb.size(), kLimit);
  EXPECT_EQ(Inflate(bomb), Inflated::kTooLong);
  EXPECT_LE(inflated_.capacity(), LargeBlockSize(kLimit + 1));
  EXPECT_LE(reserved_, kLimit + 1);
}

TEST_P(CompressorTest, AsksForMemoryFirst) {
  const std::string text = Text(100'000);
  const std::string compressed = Compress(text);
  ASSERT_EQ(Inflate(compressed), Inflated::kDone);
  room_ = reserved_;
  EXPECT_EQ(Inflate(compressed), Inflated::kDone);
  --room_;
  EXPECT_EQ(Inflate(compressed), Inflated::kNoMemory);
  EXPECT_LE(inflated_.capacity(), room_);
}

TEST_P(CompressorTest, RefusesWhatIsCutShort) {
  for (const std::string& bytes : {Text(300), Noise(300), std::string()}) {
    const std::string whole = Compress(bytes);
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_EQ(Inflate(whole.substr(0, size)), Inflated::kMalformed) << size;
    }
  }
}

TEST_P(CompressorTest, RefusesWhatGoesOn) {
  const std::string whole = Compress(Text(5000));
  EXPECT_EQ(Inflate(whole + '\0'), Inflated::kMalformed);
  EXPECT_EQ(Inflate(whole + whole), Inflated::kMalformed);
  EXPECT_EQ(Inflate(whole + Compress("")), Inflated::kMalformed);
  EXPECT_EQ(Inflate(whole), Inflated::kDone);
}

TEST_P(CompressorTest, RefusesWhatIsNotItsOwn) {
  EXPECT_EQ(Inflate(Text(100)), Inflated::kMalformed);
  EXPECT_EQ(Inflate(std::string(100, '\0')), Inflated::kMalformed);
}

// Whatever single byte has changed, there is an answer and it is bounded.
TEST_P(CompressorTest, SurvivesDamage) {
  const std::string text = Text(2000);
  const std::string whole = Compress(text);
  int refused = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
    if (Inflate(damaged, 4000) != Inflated::kDone) ++refused;
    EXPECT_LE(inflated_.size(), 4001u);
  }
  EXPECT_GT(refused, 0);
  EXPECT_EQ(Inflate(whole), Inflated::kDone);
}

TEST_P(CompressorTest, ServesManyThreads) {
  const std::string text = Text(20'000);
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        const std::string compressed = Compress(text);
        wire::ByteBuffer inflated;
        EXPECT_EQ(
            codec().Inflate(
                compressed, kLimit, [](size_t) { return true; }, &inflated),
            Inflated::kDone);
        EXPECT_TRUE(inflated.view() == text);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// What other programs write (the tools gzip 1.12 and zstd 1.5.4), and what the
// golden vectors have.
struct Foreign {
  Compression compression;
  const char* what;
  const char* hex;
  Inflated result;
  const char* bytes;
};

class ForeignTest : public ::testing::TestWithParam<Foreign> {};

TEST_P(ForeignTest, IsReadAsTheFormatSays) {
  const Compressor* const codec = GetParam().compression == Compression::kGzip
                                      ? GzipCompressor()
                                      : ZstdCompressor();
  wire::ByteBuffer inflated;
  EXPECT_EQ(
      codec->Inflate(
          FromHex(GetParam().hex), 100, [](size_t) { return true; }, &inflated),
      GetParam().result)
      << GetParam().what;
  if (GetParam().result == Inflated::kDone) {
    EXPECT_EQ(inflated.view(), GetParam().bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Formats, ForeignTest,
    ::testing::Values(
        Foreign{Compression::kGzip, "stored",
                "1f8b0800000000000003010500faff68656c6c6f86a6103605000000",
                Inflated::kDone, "hello"},
        Foreign{Compression::kGzip, "deflated",
                "1f8b0800000000000203cb48cdc9c9cf8013000bb4213e0f000000",
                Inflated::kDone, "hellohellohello"},
        Foreign{Compression::kGzip, "with a name",
                "1f8b08080000000000036100cb48cdc9c9070086a6103605000000",
                Inflated::kDone, "hello"},
        Foreign{Compression::kGzip, "a wrong checksum",
                "1f8b0800000000000003010500faff68656c6c6f87a6103605000000",
                Inflated::kMalformed, nullptr},
        Foreign{Compression::kGzip, "a wrong size",
                "1f8b0800000000000003010500faff68656c6c6f86a6103606000000",
                Inflated::kMalformed, nullptr},
        Foreign{Compression::kGzip, "zlib's format",
                "789ccb48cdc9c907000"
                "62c0215",
                Inflated::kMalformed, nullptr},
        Foreign{Compression::kZstd, "stored", "28b52ffd200529000068656c6c6f",
                Inflated::kDone, "hello"},
        Foreign{Compression::kZstd, "without its size",
                "28b52ffd005829000068656c6c6f", Inflated::kDone, "hello"},
        // A window of 2 GiB is nothing that is taken at once.
        Foreign{Compression::kZstd, "without its size, a window of 2 GiB",
                "28b52ffd00a829000068656c6c6f", Inflated::kDone, "hello"},
        Foreign{Compression::kZstd, "without its size, 101 times the same byte",
                "28b52ffd00582b030061", Inflated::kTooLong, nullptr},
        Foreign{Compression::kZstd, "without its size, 100 times the same byte",
                "28b52ffd005823030061", Inflated::kDone,
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        Foreign{Compression::kZstd, "another size than it says",
                "28b52ffd200629000068656c6c6f", Inflated::kMalformed, nullptr},
        Foreign{Compression::kZstd, "with a dictionary",
                "28b52ffd21010529000068656c6c6f", Inflated::kMalformed,
                nullptr},
        Foreign{Compression::kZstd, "a frame to be skipped",
                "502a4d180100000000", Inflated::kMalformed, nullptr},
        Foreign{Compression::kZstd, "a frame to be skipped behind",
                "28b52ffd200529000068656c6c6f502a4d180100000000",
                Inflated::kMalformed, nullptr}));

}  // namespace
}  // namespace tern
