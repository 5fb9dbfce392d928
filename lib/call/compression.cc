#include "tern/lib/call/compression.h"

#include "absl/strings/str_cat.h"

namespace tern {

const char* NameOf(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "none";
    case Compression::kGzip:
      return "gzip";
    case Compression::kZstd:
      return "zstd";
  }
  return "unknown";
}

uint64_t Compressors::features() const {
  uint64_t features = 0;
  for (size_t kind = 1; kind < kKinds; ++kind) {
    if (all_[kind] != nullptr) features |= uint64_t{1} << kind;
  }
  return features;
}

absl::Status InflateMessage(const Compressor* compressor,
                            std::string_view bytes, size_t limit,
                            const char* whose,
                            absl::FunctionRef<bool(size_t)> reserve,
                            wire::ByteBuffer* out, bool* peers_fault) {
  auto result = Compressor::Inflated::kMalformed;
  if (compressor != nullptr) {
    result = compressor->Inflate(bytes, limit, reserve, out);
  }
  if (peers_fault != nullptr && result != Compressor::Inflated::kNoMemory) {
    *peers_fault = result != Compressor::Inflated::kDone;
  }
  switch (result) {
    case Compressor::Inflated::kDone:
      return absl::OkStatus();
    case Compressor::Inflated::kTooLong:
      return absl::ResourceExhaustedError(absl::StrCat(
          "a message of ", bytes.size(), " bytes inflates to more than ", limit,
          " bytes, what the ", whose, "'s limit leaves for it"));
    case Compressor::Inflated::kMalformed:
      return absl::InternalError(absl::StrCat(
          "a message of ", bytes.size(), " bytes is not well-formed ",
          compressor == nullptr ? "in its compression"
                                : NameOf(compressor->compression())));
    case Compressor::Inflated::kNoMemory:
      return absl::ResourceExhaustedError(absl::StrCat(
          "no memory to inflate a message of ", bytes.size(), " bytes"));
  }
  return absl::InternalError("unreachable");
}

}  // namespace tern
