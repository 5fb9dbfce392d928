#include "tern/lib/codegen/co_generator.h"

#include <string_view>
#include <vector>

#include "tern/lib/codegen/layout.h"
#include "tern/lib/codegen/stream_call.h"

namespace tern::codegen {
namespace {

constexpr std::string_view kCoStubComment =
    "// The calls as tasks await them: see tern/client/co_call.h.\n"
    "// Cheap to make; the stub outlives it.\n";

// Around what names a deprecated function only to pass the call on.
constexpr std::string_view kAllowDeprecated =
    "#pragma GCC diagnostic push\n"
    "#pragma GCC diagnostic ignored \"-Wdeprecated-declarations\"\n";
constexpr std::string_view kAllowNoMore = "#pragma GCC diagnostic pop\n";

// How a function is written in one place.
struct Form {
  size_t indent = 0;
  std::string before;         // "[[deprecated]] "
  std::string scope;          // "CoStub::"
  std::string default_value;  // Of the options.
  std::string tail;
};

std::string CoFunction(const Method& method, const Form& form) {
  if (method.is_streaming()) {
    return FunctionLayout(
        form.indent, form.before + StreamType(method), form.scope + method.name,
        StreamParameters(method, form.default_value.empty() ? "" : " = {}"),
        form.tail);
  }
  const std::vector<std::string> types = {"StubInterface", method.request,
                                          method.reply};
  const std::string name = form.scope + method.name;
  const std::vector<std::string> parameters = {
      "const " + method.request + "& request",
      "const ::tern::CallOptions& options" + form.default_value};
  const std::string head = form.before + "::tern::CoCall<";
  const std::string type =
      head + types[0] + ", " + types[1] + ", " + types[2] + ">";
  if (form.indent + type.size() <= kColumns) {
    return FunctionLayout(form.indent, type, name, parameters, form.tail);
  }
  return Layout(form.indent, head, types, ">") +
         Layout(form.indent, name + "(", parameters, form.tail);
}

std::string CoBody(const Method& method) {
  if (!method.is_streaming()) {
    return Layout(
        2, "return {",
        {"stub_", "&StubInterface::" + method.name, "request", "options"},
        "};");
  }
  std::vector<std::string> arguments = {"options"};
  if (!method.client_streaming) arguments.insert(arguments.begin(), "request");
  return Layout(2, "return stub_." + method.name + "(", arguments, ");");
}

}  // namespace

std::string CoStubDeclaration(const Service& service) {
  return service.methods.empty() ? "" : "class CoStub;\n\n";
}

std::string CoMember(const Service& service) {
  if (service.methods.empty()) return "";
  return "\n"
         "  // For tasks: co_await stub.Co().Method(request).\n"
         "  CoStub Co();\n";
}

std::string CoStubClass(const Service& service) {
  if (service.methods.empty()) return "";
  std::string text = "\n" + std::string(kCoStubComment) +
                     "class CoStub {\n"
                     " public:\n"
                     "  explicit CoStub(StubInterface& stub) : stub_(stub) {}\n"
                     "\n";
  for (const Method& method : service.methods) {
    text += CoFunction(method,
                       {.indent = 2,
                        .before = method.is_deprecated ? "[[deprecated]] " : "",
                        .scope = "",
                        .default_value = " = ::tern::DefaultCallOptions()",
                        .tail = ");"});
  }
  return text +
         "\n"
         " private:\n"
         "  StubInterface& stub_;\n"
         "};\n";
}

std::string CoStubDefinitions(const Service& service) {
  if (service.methods.empty()) return "";
  std::string text = "\nCoStub StubInterface::Co() { return CoStub(*this); }\n";
  for (const Method& method : service.methods) {
    text += "\n";
    if (method.is_deprecated) text += kAllowDeprecated;
    text += CoFunction(method, {.indent = 0,
                                .before = "",
                                .scope = "CoStub::",
                                .default_value = "",
                                .tail = ") {"});
    text += CoBody(method) + "}\n";
    if (method.is_deprecated) text += kAllowNoMore;
  }
  return text;
}

}  // namespace tern::codegen
