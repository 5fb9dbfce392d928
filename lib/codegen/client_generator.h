#ifndef TERN_LIB_CODEGEN_CLIENT_GENERATOR_H_
#define TERN_LIB_CODEGEN_CLIENT_GENERATOR_H_

#include <string>

#include "tern/lib/codegen/model.h"

namespace tern::codegen {

// FILE.tern.client.h and FILE.tern.client.cc: for every service, StubInterface
// with its methods and Stub, which makes calls over a channel.
std::string ClientHeader(const File& file);
std::string ClientSource(const File& file);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_CLIENT_GENERATOR_H_
