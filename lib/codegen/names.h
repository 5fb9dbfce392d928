#ifndef TERN_LIB_CODEGEN_NAMES_H_
#define TERN_LIB_CODEGEN_NAMES_H_

#include <set>
#include <string>
#include <string_view>

#include "google/protobuf/descriptor.h"

// How names of a .proto become names of C++. Protobuf's own rules wherever it
// has one, so that what Tern generates fits what protoc generates.
namespace tern::codegen {

// A word that C++ reserves gets an underscore: "delete" is "delete_".
std::string EscapeKeyword(std::string_view name);

// "kv.v1" is "kv::v1"; no package is the empty string.
std::string PackageNamespace(std::string_view package);

// The name that a method has in the generated classes. What C++ reserves, or
// those classes need themselves, gets an underscore; `methods` are the .proto's
// names of all methods of the service.
std::string MethodName(std::string_view name,
                       const std::set<std::string>& methods);

// The constant that describes a method in generated sources: "kGetMethod".
std::string MethodConstant(std::string_view name);

// "::kv::v1::GetReply", and "::kv::v1::Outer_Inner" for a nested message.
std::string MessageClass(const google::protobuf::Descriptor& message);

// "kv/store.proto" without its ending.
std::string StripProtoSuffix(std::string_view path);

// The include guard of a generated header: "KV_STORE_TERN_CLIENT_H_" for the
// path "kv/store" and the kind "CLIENT". Two paths never share one: beside a-z,
// 0-9 and the slash, which becomes an underscore, every byte is written as _xHH
// ("kv_store" is "KV_x5FSTORE").
std::string IncludeGuard(std::string_view path_without_suffix,
                         std::string_view kind);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_NAMES_H_
