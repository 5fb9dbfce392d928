#include "tern/lib/compress/zstd_compressor.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "tern/lib/compress/kept_states.h"

namespace tern {
namespace {

// Of 1 to 19. For what is sent at once and read once, speed counts more.
constexpr int kLevel = 1;
// When a frame does not say its size: what is tried first, and how that grows.
constexpr size_t kFirstBytes = 4096;
constexpr size_t kGrowth = 4;

struct Deflater {
  Deflater() : context(ZSTD_createCCtx()) {}
  ~Deflater() { ZSTD_freeCCtx(context); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ZSTD_CCtx* const context;
};

struct Inflater {
  Inflater() : context(ZSTD_createDCtx()) {}
  ~Inflater() { ZSTD_freeDCtx(context); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ZSTD_DCtx* const context;
};

template <typename State>
std::unique_ptr<State> Make() {
  auto state = std::make_unique<State>();
  if (state->context == nullptr) return nullptr;
  return state;
}

// Whether `bytes` are one frame and nothing else: the library's own function
// takes several, and skips some.
bool IsOneFrame(std::string_view bytes) {
  // (RFC 8878, section 3.1.1, little endian.)
  constexpr std::string_view kMagic = "\x28\xB5\x2F\xFD";
  if (bytes.substr(0, kMagic.size()) != kMagic) return false;
  const size_t size = ZSTD_findFrameCompressedSize(bytes.data(), bytes.size());
  return !ZSTD_isError(size) && size == bytes.size();
}

class Zstd final : public Compressor {
 public:
  Compression compression() const override { return Compression::kZstd; }

  size_t Compress(std::string_view bytes, char* out,
                  size_t room) const override {
    std::unique_ptr<Deflater> state = deflaters_.Take(Make<Deflater>);
    if (state == nullptr) return 0;
    const size_t size = ZSTD_compressCCtx(state->context, out, room,
                                          bytes.data(), bytes.size(), kLevel);
    deflaters_.Give(std::move(state));
    return ZSTD_isError(size) ? 0 : size;
  }

  Inflated Inflate(std::string_view bytes, size_t limit,
                   absl::FunctionRef<bool(size_t)> reserve,
                   wire::ByteBuffer* out) const override {
    if (!IsOneFrame(bytes)) return Inflated::kMalformed;
    const auto told = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
    if (told == ZSTD_CONTENTSIZE_ERROR) return Inflated::kMalformed;
    const bool is_told = told != ZSTD_CONTENTSIZE_UNKNOWN;
    if (is_told && told > limit) return Inflated::kTooLong;
    std::unique_ptr<Inflater> state = inflaters_.Take(Make<Inflater>);
    if (state == nullptr) return Inflated::kNoMemory;
    const Inflated result = InflateInto(
        state->context, bytes, limit,
        is_told
            ? static_cast<size_t>(told)
            : std::min(limit, std::max(kFirstBytes, kGrowth * bytes.size())),
        is_told, reserve, out);
    inflaters_.Give(std::move(state));
    return result;
  }

 private:
  // In one step into memory for all of it: so the library needs no window of
  // its own, whose size the peer would choose.
  static Inflated InflateInto(ZSTD_DCtx* context, std::string_view bytes,
                              size_t limit, size_t room, bool is_told,
                              absl::FunctionRef<bool(size_t)> reserve,
                              wire::ByteBuffer* out) {
    for (size_t reserved = 0;; room = std::min(limit, kGrowth * room)) {
      if (!reserve(room - reserved)) return Inflated::kNoMemory;
      reserved = room;
      out->Reserve(std::max<size_t>(1, room));
      const size_t size = ZSTD_decompressDCtx(context, out->end(), room,
                                              bytes.data(), bytes.size());
      if (!ZSTD_isError(size)) {
        out->Extend(size);
        return Inflated::kDone;
      }
      if (is_told || ZSTD_getErrorCode(size) != ZSTD_error_dstSize_tooSmall) {
        return Inflated::kMalformed;
      }
      if (room == limit) return Inflated::kTooLong;
    }
  }

  mutable KeptStates<Deflater> deflaters_;
  mutable KeptStates<Inflater> inflaters_;
};

}  // namespace

const Compressor* ZstdCompressor() {
  static const Zstd& zstd = *new Zstd;
  return &zstd;
}

}  // namespace tern
