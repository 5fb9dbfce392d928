#include "tern/lib/codegen/server_generator.h"

#include <string_view>
#include <vector>

#include "tern/lib/codegen/layout.h"
#include "tern/lib/codegen/method_options.h"
#include "tern/lib/codegen/source_text.h"

namespace tern::codegen {
namespace {

constexpr std::string_view kServiceComment =
    "// Override the methods: what is not overridden answers UNIMPLEMENTED.\n"
    "// They may be called from many threads at once, and may block.\n";

// Of a method's handler. `quote` makes of "request" what stands there.
template <typename Quote>
std::vector<std::string> Parameters(const Method& method, const Quote& quote) {
  const std::string context = "::tern::ServerContext& " + quote("context");
  const std::string request =
      "const " + method.request + "& " + quote("request");
  if (method.client_streaming && method.server_streaming) {
    return {context, "::tern::ServerStream<" + method.request + ", " +
                         method.reply + ">& " + quote("stream")};
  }
  if (method.client_streaming) {
    return {context,
            "::tern::ServerReader<" + method.request + ">& " + quote("reader"),
            method.reply + "* " + quote("reply")};
  }
  if (method.server_streaming) {
    return {context, request,
            "::tern::ServerWriter<" + method.reply + ">& " + quote("writer")};
  }
  return {context, request, method.reply + "* " + quote("reply")};
}

std::string Declaration(const Method& method) {
  // No [[deprecated]]: whoever serves a method is not the one who should stop
  // calling it.
  std::string note = method.is_deprecated ? "  // Deprecated.\n" : "";
  const auto plain = [](const char* name) { return std::string(name); };
  return note + FunctionLayout(2, "virtual ::absl::Status", method.name,
                               Parameters(method, plain), ");");
}

std::string ServiceClass(const Service& service) {
  std::string text = CommentText(0, service.comment);
  if (!service.methods.empty()) {
    if (!text.empty()) text += "//\n";
    text += kServiceComment;
  }
  if (service.is_deprecated) text += "// Deprecated.\n";
  text +=
      "class Service : public ::tern::Service {\n"
      " public:\n";
  for (const Method& method : service.methods) {
    text += CommentText(2, method.comment);
    text += Declaration(method);
    text += "\n";
  }
  text +=
      "  // For tern::Server.\n"
      "  ::std::string_view TernServiceName() const final;\n"
      "  ::std::span<const ::tern::MethodHandler> TernMethods() const final;\n"
      "};\n";
  return text;
}

std::string HandlerEntry(const Method& method) {
  const std::string kind = method.is_streaming() ? "Stream" : "Unary";
  std::string text = Layout(4, "::tern::server_internal::" + kind + "Method<",
                            {"&Service::" + method.name}, ">(");
  std::vector<std::string> settings = InBraces(method.settings);
  if (!settings.empty()) {
    settings.insert(settings.begin(), "\"" + method.full_name + "\"");
    return text + Layout(8, "", settings, "),");
  }
  std::string name = "\"" + method.full_name + "\"),\n";
  std::string same_line = text.substr(0, text.size() - 1) + name;
  return KeepsToColumns(same_line) ? same_line : text + "        " + name;
}

std::string HandlerTable(const std::vector<Method>& methods) {
  std::string text =
      "namespace {\n\n"
      "constexpr ::tern::MethodHandler kMethods[] = {\n";
  for (const Method& method : methods) text += HandlerEntry(method);
  return text + "};\n\n}  // namespace\n\n";
}

std::string DefaultHandler(const Method& method) {
  const auto comment = [](const char* name) {
    return "/*" + std::string(name) + "*/";
  };
  std::string text =
      FunctionLayout(0, "::absl::Status", "Service::" + method.name,
                     Parameters(method, comment), ") {");
  text += Layout(2, "return ::absl::UnimplementedError(",
                 {"\"" + method.full_name + " is not implemented\""}, ");");
  return text + "}\n\n";
}

std::string ServiceNameFunction(const Service& service) {
  std::string head = "::std::string_view Service::TernServiceName() const {";
  std::string body = "return \"" + service.full_name + "\";";
  std::string one_line = head + " " + body + " }\n";
  if (KeepsToColumns(one_line)) return one_line;
  return head + "\n  " + body + "\n}\n";
}

std::string Definitions(const Service& service) {
  const std::vector<Method>& methods = service.methods;
  std::string text = methods.empty() ? "\n" : HandlerTable(methods);
  for (const Method& method : methods) text += DefaultHandler(method);
  text += ServiceNameFunction(service) + "\n";
  text +=
      "::std::span<const ::tern::MethodHandler> Service::TernMethods() const "
      "{\n";
  text += methods.empty() ? "  return {};\n}\n" : "  return kMethods;\n}\n";
  return text;
}

}  // namespace

std::string ServerHeader(const File& file) {
  Includes includes = {
      .standard = {"span", "string_view"},
      .others = {"absl/status/status.h", "tern/server/server_context.h",
                 "tern/server/service.h"},
  };
  for (const Service& service : file.services) {
    for (const Method& method : service.methods) {
      if (!method.is_streaming()) continue;
      includes.others.insert("tern/server/server_stream.h");
    }
  }
  includes.others.insert(file.pb_headers.begin(), file.pb_headers.end());
  std::string body;
  for (const Service& service : file.services) {
    body += InNamespace(service, "\n" + ServiceClass(service));
  }
  return HeaderText(file, "server", includes, body);
}

std::string ServerSource(const File& file) {
  std::string body;
  for (const Service& service : file.services) {
    body += InNamespace(service, Definitions(service));
  }
  return SourceText(file, "server", {}, body);
}

}  // namespace tern::codegen
