// Apart from compression.cc: linked only with a codec.

#include "absl/strings/str_cat.h"
#include "tern/lib/call/compression.h"

namespace tern {

absl::Status Compressor::InflateMessage(std::string_view bytes, size_t limit,
                                        const char* whose,
                                        absl::FunctionRef<bool(size_t)> reserve,
                                        wire::ByteBuffer* out,
                                        bool* peers_fault) const {
  const Inflated result = Inflate(bytes, limit, reserve, out);
  *peers_fault = result == Inflated::kTooLong || result == Inflated::kMalformed;
  switch (result) {
    case Inflated::kDone:
      break;
    case Inflated::kTooLong:
      return absl::ResourceExhaustedError(absl::StrCat(
          "a message of ", bytes.size(), " bytes inflates to more than ", limit,
          " bytes, what the ", whose,
          "'s limit (max_message_bytes) leaves for it"));
    case Inflated::kMalformed:
      return absl::InternalError(absl::StrCat("a message of ", bytes.size(),
                                              " bytes is not well-formed ",
                                              NameOf(compression())));
    case Inflated::kNoMemory:
      return absl::ResourceExhaustedError(absl::StrCat(
          "no memory to inflate a message of ", bytes.size(), " bytes"));
  }
  return absl::OkStatus();
}

}  // namespace tern
