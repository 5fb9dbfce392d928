#include "tern/lib/compress/gzip_compressor.h"

#include <zlib.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "tern/lib/compress/kept_states.h"

namespace tern {
namespace {

constexpr int kLevel = 1;  // Of 1 to 9: zlib's fastest.
// A window of 2^15 bytes, and gzip's header and trailer around the data.
constexpr int kWindowBits = 15 + 16;
constexpr int kMemoryLevel = 8;  // zlib's default.
// What is inflated into first, and how that grows.
constexpr size_t kFirstBytes = 4096;
constexpr size_t kGrowth = 4;

struct Deflater {
  Deflater() {
    made = deflateInit2(&stream, kLevel, Z_DEFLATED, kWindowBits, kMemoryLevel,
                        Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Deflater() {
    if (made) deflateEnd(&stream);
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  z_stream stream = {};
  bool made = false;
};

struct Inflater {
  Inflater() { made = inflateInit2(&stream, kWindowBits) == Z_OK; }
  ~Inflater() {
    if (made) inflateEnd(&stream);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream stream = {};
  bool made = false;
};

template <typename State>
std::unique_ptr<State> Make() {
  auto state = std::make_unique<State>();
  return state->made ? std::move(state) : nullptr;
}

// zlib's type for what it only reads, too.
Bytef* InputOf(std::string_view bytes) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
}

class Gzip final : public Compressor {
 public:
  Compression compression() const override { return Compression::kGzip; }

  size_t Compress(std::string_view bytes, char* out,
                  size_t room) const override {
    std::unique_ptr<Deflater> state = deflaters_.Take(Make<Deflater>);
    if (state == nullptr) return 0;
    z_stream& stream = state->stream;
    stream.next_in = InputOf(bytes);
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out);
    stream.avail_out = static_cast<uInt>(room);
    const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    const size_t size = room - stream.avail_out;
    if (deflateReset(&stream) == Z_OK) deflaters_.Give(std::move(state));
    return done ? size : 0;
  }

  Inflated Inflate(std::string_view bytes, size_t limit,
                   absl::FunctionRef<bool(size_t)> reserve,
                   wire::ByteBuffer* out) const override {
    std::unique_ptr<Inflater> state = inflaters_.Take(Make<Inflater>);
    if (state == nullptr) return Inflated::kNoMemory;
    const Inflated result =
        InflateInto(&state->stream, bytes, limit, reserve, out);
    if (inflateReset(&state->stream) == Z_OK) {
      inflaters_.Give(std::move(state));
    }
    return result;
  }

 private:
  // One byte beyond the limit shows that there is more.
  static Inflated InflateInto(z_stream* stream, std::string_view bytes,
                              size_t limit,
                              absl::FunctionRef<bool(size_t)> reserve,
                              wire::ByteBuffer* out) {
    stream->next_in = InputOf(bytes);
    stream->avail_in = static_cast<uInt>(bytes.size());
    size_t room = std::max(kFirstBytes, kGrowth * bytes.size());
    for (size_t reserved = 0;; room *= kGrowth) {
      room = std::min(room, limit + 1);
      if (!reserve(room - reserved)) return Inflated::kNoMemory;
      reserved = room;
      out->Reserve(room);
      const size_t free = room - out->size();
      stream->next_out = reinterpret_cast<Bytef*>(out->end());
      stream->avail_out = static_cast<uInt>(free);
      const int result = inflate(stream, Z_NO_FLUSH);
      out->Extend(free - stream->avail_out);
      if (out->size() > limit) return Inflated::kTooLong;
      switch (result) {
        case Z_STREAM_END:
          return stream->avail_in == 0 ? Inflated::kDone : Inflated::kMalformed;
        case Z_OK:
          if (stream->avail_out == 0) continue;
          return Inflated::kMalformed;  // Cut short.
        case Z_MEM_ERROR:
          return Inflated::kNoMemory;
        default:
          return Inflated::kMalformed;
      }
    }
  }

  mutable KeptStates<Deflater> deflaters_;
  mutable KeptStates<Inflater> inflaters_;
};

}  // namespace

const Compressor* GzipCompressor() {
  static const Gzip& gzip = *new Gzip;
  return &gzip;
}

}  // namespace tern
