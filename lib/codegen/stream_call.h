#ifndef TERN_LIB_CODEGEN_STREAM_CALL_H_
#define TERN_LIB_CODEGEN_STREAM_CALL_H_

#include <string>
#include <string_view>
#include <vector>

#include "tern/lib/codegen/model.h"

namespace tern::codegen {

// What a stub's function for a streaming method returns, and takes.
std::string StreamType(const Method& method);
std::vector<std::string> StreamParameters(const Method& method,
                                          std::string_view default_options);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_STREAM_CALL_H_
