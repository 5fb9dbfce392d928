#ifndef TERN_LIB_CODEGEN_SERVER_GENERATOR_H_
#define TERN_LIB_CODEGEN_SERVER_GENERATOR_H_

#include <string>

#include "tern/lib/codegen/model.h"

namespace tern::codegen {

// FILE.tern.server.h: for every service, the base classes that handlers are
// written in. All is defined there: a service is written in one source or few,
// and one more of our own would take as long to compile as the user's.
std::string ServerHeader(const File& file);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_SERVER_GENERATOR_H_
