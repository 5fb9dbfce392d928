#ifndef TERN_LIB_CODEGEN_MOCK_GENERATOR_H_
#define TERN_LIB_CODEGEN_MOCK_GENERATOR_H_

#include <string>

#include "tern/lib/codegen/model.h"

namespace tern::codegen {

// FILE.tern.mock.h: for every service, a GoogleMock class of its StubInterface.
std::string MockHeader(const File& file);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_MOCK_GENERATOR_H_
