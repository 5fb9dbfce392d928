#ifndef TERN_LIB_COMPRESS_ZSTD_COMPRESSOR_H_
#define TERN_LIB_COMPRESS_ZSTD_COMPRESSOR_H_

#include "tern/lib/call/compression.h"

namespace tern {

// zstd (RFC 8878), level 1; a message is one frame, without a dictionary. Keeps
// up to four states of each kind for the next messages: 4 MiB at most.
const Compressor* ZstdCompressor();

}  // namespace tern

#endif  // TERN_LIB_COMPRESS_ZSTD_COMPRESSOR_H_
