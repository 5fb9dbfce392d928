#include "tern/lib/codegen/client_generator.h"

#include <string_view>
#include <vector>

#include "tern/lib/codegen/co_generator.h"
#include "tern/lib/codegen/layout.h"
#include "tern/lib/codegen/method_options.h"
#include "tern/lib/codegen/source_text.h"
#include "tern/lib/codegen/stream_call.h"

namespace tern::codegen {
namespace {

constexpr std::string_view kInterfaceComment =
    "// A method blocks until its call has ended. With a callback it returns\n"
    "// at once, and the callback runs when the call has ended.\n";

constexpr std::string_view kStreamsComment =
    "// A streaming method returns its call at once: read, write, then "
    "Finish.\n";

constexpr std::string_view kStubComment =
    "// Makes calls over a channel, which outlives the stub.\n"
    "// Thread-safe, and cheap to make.\n";

// How a method's two functions are written in one place.
struct Form {
  size_t indent = 0;
  std::string before;         // "virtual "
  std::string scope;          // "Stub::"
  std::string default_value;  // Of the options, where they come last: " = {}".
  std::string tail;           // ") override;"
};

std::string BlockingFunction(const Method& method, const Form& form) {
  return FunctionLayout(
      form.indent, form.before + "::absl::StatusOr<" + method.reply + ">",
      form.scope + method.name,
      {"const " + method.request + "& request",
       "const ::tern::CallOptions& options" + form.default_value},
      form.tail);
}

std::string CallbackFunction(const Method& method, const Form& form) {
  return FunctionLayout(form.indent, form.before + "::tern::CallHandle",
                        form.scope + method.name,
                        {"const " + method.request + "& request",
                         "const ::tern::CallOptions& options",
                         "::tern::ReplyCallback<" + method.reply + "> done"},
                        form.tail);
}

std::string StreamFunction(const Method& method, const Form& form) {
  return FunctionLayout(
      form.indent, form.before + StreamType(method), form.scope + method.name,
      StreamParameters(method, form.default_value), form.tail);
}

// All functions of a method, as members of a class.
std::string Declarations(const Method& method, const std::string& specifier,
                         const std::string& tail) {
  Form form = {
      .indent = 2,
      .before = (method.is_deprecated ? "[[deprecated]] " : "") + specifier,
      .scope = "",
      .default_value = " = {}",
      .tail = tail,
  };
  if (method.is_streaming()) return StreamFunction(method, form);
  return BlockingFunction(method, form) + CallbackFunction(method, form);
}

std::string Interface(const Service& service) {
  std::string text = CommentText(0, service.comment);
  bool any_unary = false;
  bool any_streaming = false;
  for (const Method& method : service.methods) {
    (method.is_streaming() ? any_streaming : any_unary) = true;
  }
  if (!text.empty() && (any_unary || any_streaming)) text += "//\n";
  if (any_unary) text += kInterfaceComment;
  if (any_streaming) text += kStreamsComment;
  text +=
      "class StubInterface {\n"
      " public:\n"
      "  virtual ~StubInterface() = default;\n";
  for (const Method& method : service.methods) {
    text += "\n" + CommentText(2, method.comment);
    text += Declarations(method, "virtual ", ") = 0;");
  }
  return text + CoMember(service) + "};\n";
}

std::string Stub(const Service& service) {
  std::string text(kStubComment);
  text += service.is_deprecated ? "class [[deprecated]] Stub" : "class Stub";
  text +=
      " final : public StubInterface {\n"
      " public:\n";
  text += Layout(2, "static constexpr ::std::string_view kServiceName = ",
                 {"\"" + service.full_name + "\""}, ";");
  text +=
      "\n"
      "  explicit Stub(::tern::Channel& channel) : channel_(channel) {}\n";
  const std::vector<Method>& methods = service.methods;
  for (const Method& method : methods) {
    text += "\n" + Declarations(method, "", ") override;");
  }
  text += "\n private:\n";
  text += methods.empty() ? "  [[maybe_unused]] " : "  ";
  return text + "::tern::Channel& channel_;\n};\n";
}

std::vector<std::string> MethodInfoFields(const Method& method) {
  std::vector<std::string> fields = {".full_name = \"" + method.full_name +
                                     "\""};
  if (method.client_streaming) fields.push_back(".client_streaming = true");
  if (method.server_streaming) fields.push_back(".server_streaming = true");
  std::vector<std::string> settings = InBraces(method.settings);
  if (!settings.empty()) settings.front().insert(0, ".settings = ");
  fields.insert(fields.end(), settings.begin(), settings.end());
  return fields;
}

std::string Constants(const std::vector<Method>& methods) {
  std::string text = "namespace {\n\n";
  for (const Method& method : methods) {
    text +=
        Layout(0, "constexpr ::tern::MethodInfo " + method.constant + " = {",
               MethodInfoFields(method), "};");
  }
  return text + "\n}  // namespace\n";
}

std::string StreamDefinition(const Method& method, const Form& form) {
  std::string head = "return ::tern::StartStream<" + method.request + ", ";
  std::vector<std::string> arguments = {"channel_", method.constant, "options"};
  if (!method.server_streaming) {
    head = "return ::tern::StartClientStream<" + method.request + ", ";
  } else if (!method.client_streaming) {
    head = "return ::tern::StartServerStream<";
    arguments = {"channel_", method.constant, "request", "options"};
  }
  return "\n" + StreamFunction(method, form) +
         Layout(2, head + method.reply + ">(", arguments, ");") + "}\n";
}

std::string Definitions(const Method& method) {
  const Form form = {.indent = 0,
                     .before = "",
                     .scope = "Stub::",
                     .default_value = "",
                     .tail = ") {"};
  if (method.is_streaming()) return StreamDefinition(method, form);
  std::string text = "\n" + BlockingFunction(method, form);
  text += Layout(2, "return ::tern::BlockingUnaryCall<" + method.reply + ">(",
                 {"channel_", method.constant, "request", "options"}, ");");
  text += "}\n\n" + CallbackFunction(method, form);
  text += Layout(
      2, "return ::tern::AsyncUnaryCall<" + method.reply + ">(",
      {"channel_", method.constant, "request", "options", "::std::move(done)"},
      ");");
  return text + "}\n";
}

}  // namespace

std::string ClientHeader(const File& file) {
  Includes includes = {
      .standard = {"string_view"},
      .others = {"absl/status/statusor.h", "tern/client/call_handle.h",
                 "tern/client/call_options.h", "tern/client/channel.h",
                 "tern/client/stub.h"},
  };
  for (const Service& service : file.services) {
    for (const Method& method : service.methods) {
      includes.others.insert(method.is_streaming()
                                 ? "tern/client/client_stream.h"
                                 : "tern/client/co_call.h");
    }
  }
  includes.others.insert(file.pb_headers.begin(), file.pb_headers.end());
  std::string body;
  for (const Service& service : file.services) {
    body += InNamespace(service, "\n" + CoStubDeclaration(service) +
                                     Interface(service) + CoStubClass(service) +
                                     "\n" + Stub(service));
  }
  return HeaderText(file, "client", includes, body);
}

std::string ClientSource(const File& file) {
  Includes includes = {.standard = {"utility"},
                       .others = {"tern/lib/call/method_info.h"}};
  std::string body;
  for (const Service& service : file.services) {
    const std::vector<Method>& methods = service.methods;
    if (methods.empty()) continue;
    std::string definitions = Constants(methods);
    for (const Method& method : methods) definitions += Definitions(method);
    definitions += CoStubDefinitions(service);
    body += InNamespace(service, definitions);
  }
  return SourceText(file, "client", includes, body);
}

}  // namespace tern::codegen
