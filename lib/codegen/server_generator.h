#ifndef TERN_LIB_CODEGEN_SERVER_GENERATOR_H_
#define TERN_LIB_CODEGEN_SERVER_GENERATOR_H_

#include <string>

#include "tern/lib/codegen/model.h"

namespace tern::codegen {

// FILE.tern.server.h and FILE.tern.server.cc: for every service, the base class
// that handlers are written in.
std::string ServerHeader(const File& file);
std::string ServerSource(const File& file);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_SERVER_GENERATOR_H_
