#ifndef TERN_LIB_COMPRESS_GZIP_COMPRESSOR_H_
#define TERN_LIB_COMPRESS_GZIP_COMPRESSOR_H_

#include "tern/lib/call/compression.h"

namespace tern {

// gzip (RFC 1952), level 1; a message is one member. Slower than zstd, but what
// the other end can do when it has nothing else. Keeps up to four states of
// each kind for the next messages: 1.3 MiB at most.
const Compressor* GzipCompressor();

}  // namespace tern

#endif  // TERN_LIB_COMPRESS_GZIP_COMPRESSOR_H_
