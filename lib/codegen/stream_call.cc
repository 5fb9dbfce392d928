#include "tern/lib/codegen/stream_call.h"

namespace tern::codegen {

std::string StreamType(const Method& method) {
  if (!method.client_streaming) {
    return "::tern::ClientReader<" + method.reply + ">";
  }
  return std::string("::tern::") +
         (method.server_streaming ? "ClientStream<" : "ClientWriter<") +
         method.request + ", " + method.reply + ">";
}

std::vector<std::string> StreamParameters(const Method& method,
                                          std::string_view default_options) {
  std::vector<std::string> parameters;
  if (!method.client_streaming) {
    parameters.push_back("const " + method.request + "& request");
  }
  parameters.push_back("const ::tern::CallOptions& options" +
                       std::string(default_options));
  return parameters;
}

}  // namespace tern::codegen
