#ifndef TERN_LIB_CALL_METHOD_INFO_H_
#define TERN_LIB_CALL_METHOD_INFO_H_

#include <string_view>

namespace tern {

// What both ends know of a method from its .proto. A constant that generated
// code defines; `full_name` has static storage.
struct MethodInfo {
  std::string_view full_name;     // "kv.v1.KeyValue/Get"
  bool client_streaming = false;  // Many request messages.
  bool server_streaming = false;  // Many response messages.
};

}  // namespace tern

#endif  // TERN_LIB_CALL_METHOD_INFO_H_
