#ifndef TERN_TESTS_TESTING_SPY_COMPRESSOR_H_
#define TERN_TESTS_TESTING_SPY_COMPRESSOR_H_

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "tern/lib/call/compression.h"
#include "tern/lib/compress/gzip_compressor.h"
#include "tern/lib/compress/zstd_compressor.h"

namespace tern::testing {

// A codec that counts what it does, and can be made to send something else.
class SpyCompressor final : public Compressor {
 public:
  explicit SpyCompressor(Compression compression)
      : real_(compression == Compression::kGzip ? *GzipCompressor()
                                                : *ZstdCompressor()) {}

  Compression compression() const override { return real_.compression(); }
  size_t Compress(std::string_view bytes, char* out,
                  size_t room) const override {
    ++compressed_;
    if (forged_.empty()) return real_.Compress(bytes, out, room);
    EXPECT_LE(forged_.size(), room);
    return forged_.copy(out, room);
  }
  Inflated Inflate(std::string_view bytes, size_t limit,
                   absl::FunctionRef<bool(size_t)> reserve,
                   wire::ByteBuffer* out) const override {
    ++inflated_;
    inflated_here_ = std::this_thread::get_id() == here_;
    return real_.Inflate(bytes, limit, reserve, out);
  }

  // Sends `bytes` for whatever is to be compressed.
  void Forge(std::string bytes) { forged_ = std::move(bytes); }
  // `bytes` as the codec sends them.
  std::string Packed(std::string_view bytes) const {
    std::string out(bytes.size() + 1000, '\0');
    out.resize(real_.Compress(bytes, out.data(), out.size()));
    return out;
  }
  int compressed() const { return compressed_.exchange(0); }
  int inflated() const { return inflated_.exchange(0); }
  // Whether the last was inflated on the thread that has made this.
  bool inflated_here() const { return inflated_here_; }

 private:
  const Compressor& real_;
  const std::thread::id here_ = std::this_thread::get_id();
  std::string forged_;
  mutable std::atomic<int> compressed_{0};
  mutable std::atomic<int> inflated_{0};
  mutable std::atomic<bool> inflated_here_{false};
};

}  // namespace tern::testing

#endif  // TERN_TESTS_TESTING_SPY_COMPRESSOR_H_
