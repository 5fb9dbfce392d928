#include "tern/lib/call/compression.h"

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

}  // namespace tern
