#ifndef TERN_LIB_CODEGEN_MODEL_H_
#define TERN_LIB_CODEGEN_MODEL_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"

// A .proto as the generators see it: services and methods, named in C++.
namespace tern::codegen {

struct Method {
  std::string full_name;  // "kv.v1.KeyValue/Get"
  std::string name;       // Of the generated functions: "Get", or "delete_".
  std::string constant;   // Of the generated MethodInfo: "kGetMethod".
  std::string request;    // "::kv::v1::GetRequest"
  std::string reply;
  bool client_streaming = false;
  bool server_streaming = false;
  bool is_deprecated = false;
  std::vector<std::string> comment;   // See CommentLines.
  std::vector<std::string> settings;  // See ReadMethodSettings.

  bool is_streaming() const { return client_streaming || server_streaming; }
};

struct Service {
  std::string full_name;      // "kv.v1.KeyValue"
  std::string cpp_namespace;  // "kv::v1::KeyValue"
  bool is_deprecated = false;
  std::vector<std::string> comment;
  std::vector<Method> methods;  // As in the .proto.
};

struct File {
  std::string path;                  // "kv/kv.proto"
  std::string stem;                  // "kv/kv"
  std::set<std::string> pb_headers;  // That define its services' messages.
  std::vector<Service> services;
};

// INVALID_ARGUMENT, naming the culprits, when two things would get the same
// name in C++, or an option of a method makes no sense.
absl::StatusOr<File> ReadFile(const google::protobuf::FileDescriptor& file);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_MODEL_H_
