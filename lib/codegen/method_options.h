#ifndef TERN_LIB_CODEGEN_METHOD_OPTIONS_H_
#define TERN_LIB_CODEGEN_METHOD_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"

// `option (tern.method)` of a .proto: proto/tern/method.proto.
namespace tern::codegen {

// The fields of a tern::MethodSettings that the method sets, as they stand in
// its initializer: ".timeout_ms = 500". INVALID_ARGUMENT, with the file, the
// method and the value, for one that makes no sense.
absl::StatusOr<std::vector<std::string>> ReadMethodSettings(
    const google::protobuf::MethodDescriptor& method);

// `settings` in braces, in pieces for Layout(), which puts commas between them:
// "{.timeout_ms = 500", ".priority = 3}". Empty when there are none.
std::vector<std::string> InBraces(std::vector<std::string> settings);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_METHOD_OPTIONS_H_
