#ifndef TERN_LIB_CODEGEN_CO_GENERATOR_H_
#define TERN_LIB_CODEGEN_CO_GENERATOR_H_

#include <string>

#include "tern/lib/codegen/model.h"

// What is generated for calls in coroutines. Each is empty for a service
// without methods.
namespace tern::codegen {

// Client: StubInterface's Co(), the class behind it (declared before, as it is
// its result), and both's functions.
std::string CoStubDeclaration(const Service& service);
std::string CoMember(const Service& service);
std::string CoStubClass(const Service& service);
std::string CoStubDefinitions(const Service& service);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_CO_GENERATOR_H_
