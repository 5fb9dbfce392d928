#ifndef TERN_LIB_CODEGEN_GENERATOR_H_
#define TERN_LIB_CODEGEN_GENERATOR_H_

#include <cstdint>
#include <string>

#include "google/protobuf/compiler/code_generator.h"

namespace tern::codegen {

// protoc-gen-tern. For FILE.proto it writes FILE.tern.client.h and .cc,
// FILE.tern.server.h and .cc, and with the option "mocks" FILE.tern.mock.h:
//
//   protoc --plugin=protoc-gen-tern --tern_out=mocks:DIRECTORY kv.proto
//
// The .proto's comments are carried over. Output depends on the .proto and the
// options alone.
class Generator : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file,
                const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context,
                std::string* error) const override;

  uint64_t GetSupportedFeatures() const override;
};

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_GENERATOR_H_
