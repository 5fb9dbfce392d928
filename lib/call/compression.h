#ifndef TERN_LIB_CALL_COMPRESSION_H_
#define TERN_LIB_CALL_COMPRESSION_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "tern/lib/wire/byte_buffer.h"

namespace tern {

// How a message travels. The numbers are the protocol's: the value in a header,
// and the bit among a HELLO's features.
enum class Compression : uint8_t { kNone = 0, kGzip = 1, kZstd = 2 };

// "none", "gzip", "zstd".
const char* NameOf(Compression compression);

// One way to compress: ZstdCompressor() and GzipCompressor() in lib/compress.
// Only a program that names one is linked with its library. Thread-safe.
class Compressor {
 public:
  virtual ~Compressor() = default;
  virtual Compression compression() const = 0;

  // Writes `bytes` to `out`, compressed, and returns how many that are: at most
  // `room`, or 0 when they are more.
  virtual size_t Compress(std::string_view bytes, char* out,
                          size_t room) const = 0;

  enum class Inflated {
    kDone,
    kTooLong,    // More than `limit`: no more was inflated.
    kMalformed,  // Not what Compress writes; cut short, or with more behind it.
    kNoMemory,   // `reserve` has refused.
  };
  // The opposite, into `out`, which is empty. `reserve` is asked before each
  // time that so many more bytes of memory are taken for that.
  virtual Inflated Inflate(std::string_view bytes, size_t limit,
                           absl::FunctionRef<bool(size_t)> reserve,
                           wire::ByteBuffer* out) const = 0;

  // The same for a message that came from a peer, with a status that says what
  // was wrong with it: RESOURCE_EXHAUSTED or INTERNAL. `whose` limit it is:
  // "server", "client". `*peers_fault` is set: whether the peer should not have
  // sent it. (Virtual for the linker: nobody else needs the code.)
  virtual absl::Status InflateMessage(std::string_view bytes, size_t limit,
                                      const char* whose,
                                      absl::FunctionRef<bool(size_t)> reserve,
                                      wire::ByteBuffer* out,
                                      bool* peers_fault) const;
};

// Those that an end knows, and announces: at most one of each kind.
class Compressors {
 public:
  Compressors() = default;
  Compressors(std::initializer_list<const Compressor*> compressors) {
    for (const Compressor* compressor : compressors) {
      all_[static_cast<size_t>(compressor->compression())] = compressor;
    }
  }

  // nullptr when it is none, or not known here.
  const Compressor* Find(uint32_t compression) const {
    return compression < kKinds ? all_[compression] : nullptr;
  }
  const Compressor* Find(Compression compression) const {
    return Find(static_cast<uint32_t>(compression));
  }
  // The bits of Hello.features.
  uint64_t features() const;

 private:
  static constexpr size_t kKinds = 3;
  const Compressor* all_[kKinds] = {};
};

}  // namespace tern

#endif  // TERN_LIB_CALL_COMPRESSION_H_
