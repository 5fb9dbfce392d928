#include "tern/lib/codegen/server_generator.h"

#include <string>
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
constexpr std::string_view kCoServiceComment =
    "// Service, with coroutines: while it awaits something, a method holds "
    "no\n"
    "// thread. See tern/server/co_service.h.\n";
constexpr std::string_view kCallbackServiceComment =
    "// Service, with methods that may return before they have an answer: the\n"
    "// responder takes it, on any thread. See tern/server/responder.h.\n";
constexpr std::string_view kDefinitionsComment =
    "// ---- The rest of this namespace is no part of the interface.\n";

// One of the base classes that a service can be made of.
struct Flavour {
  std::string name;    // "Service"
  std::string unary;   // What makes a table's entry: "UnaryMethod".
  std::string stream;  // The same for a streaming method.
  std::string result;  // "::absl::Status"
  bool has_responder = false;
  std::string answer;  // What says that a method is not there: before its
  std::string tail;    // name, and behind it.
};

const Flavour& Blocking() {
  static const Flavour& flavour =
      *new Flavour{.name = "Service",
                   .unary = "UnaryMethod",
                   .stream = "StreamMethod",
                   .result = "::absl::Status",
                   .answer = "return ::tern::server_internal::Unimplemented(",
                   .tail = ");"};
  return flavour;
}
const Flavour& Coroutines() {
  static const Flavour& flavour =
      *new Flavour{.name = "CoService",
                   .unary = "CoMethod",
                   .stream = "CoStreamMethod",
                   .result = "::tern::Task<::absl::Status>",
                   .answer = "return ::tern::server_internal::CoUnimplemented(",
                   .tail = ");"};
  return flavour;
}
const Flavour& Callbacks() {
  static const Flavour& flavour = *new Flavour{
      .name = "CallbackService",
      .unary = "CallbackMethod",
      .stream = "CallbackStreamMethod",
      .result = "void",
      .has_responder = true,
      .answer = "responder.Answer(::tern::server_internal::Unimplemented(",
      .tail = "));"};
  return flavour;
}

// Of a method's handler. `quote` makes of "request" what stands there.
template <typename Quote>
std::vector<std::string> PlainParameters(const Method& method,
                                         const Quote& quote) {
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
template <typename Quote>
std::vector<std::string> Parameters(const Flavour& flavour,
                                    const Method& method, const Quote& quote) {
  std::vector<std::string> parameters = PlainParameters(method, quote);
  if (flavour.has_responder) {
    parameters.push_back("::tern::Responder responder");
  }
  return parameters;
}

std::string Declaration(const Flavour& flavour, const Method& method) {
  // No [[deprecated]]: whoever serves a method is not the one who should stop
  // calling it.
  std::string note = method.is_deprecated ? "  // Deprecated.\n" : "";
  const auto plain = [](const char* name) { return std::string(name); };
  return note + FunctionLayout(2, "virtual " + flavour.result, method.name,
                               Parameters(flavour, method, plain), ");");
}

// From the class's name to its end. `documented`: the methods have the .proto's
// comments.
std::string ClassBody(const Flavour& flavour, const Service& service,
                      bool documented) {
  std::string text = "class " + flavour.name +
                     " : public ::tern::Service {\n"
                     " public:\n";
  for (const Method& method : service.methods) {
    if (documented) text += CommentText(2, method.comment);
    text += Declaration(flavour, method);
    if (documented) text += "\n";
  }
  if (!documented) text += "\n";
  return text +
         "  // For tern::Server.\n"
         "  ::std::string_view TernServiceName() const final;\n"
         "  ::std::span<const ::tern::MethodHandler> TernMethods() const "
         "final;\n"
         "};\n";
}

std::string ServiceClass(const Service& service) {
  std::string text = CommentText(0, service.comment);
  if (!service.methods.empty()) {
    if (!text.empty()) text += "//\n";
    text += kServiceComment;
  }
  if (service.is_deprecated) text += "// Deprecated.\n";
  return text + ClassBody(Blocking(), service, /*documented=*/true);
}

std::string OtherClasses(const Service& service) {
  if (service.methods.empty()) return "";
  return "\n" + std::string(kCoServiceComment) +
         ClassBody(Coroutines(), service, /*documented=*/false) + "\n" +
         std::string(kCallbackServiceComment) +
         ClassBody(Callbacks(), service, /*documented=*/false);
}

std::string HandlerEntry(const Flavour& flavour, const Method& method) {
  const std::string& kind =
      method.is_streaming() ? flavour.stream : flavour.unary;
  std::string text = Layout(6, "::tern::server_internal::" + kind + "<",
                            {"&" + flavour.name + "::" + method.name}, ">(");
  std::vector<std::string> settings = InBraces(method.settings);
  if (!settings.empty()) {
    settings.insert(settings.begin(), "\"" + method.full_name + "\"");
    return text + Layout(10, "", settings, "),");
  }
  std::string name = "\"" + method.full_name + "\"),\n";
  std::string same_line = text.substr(0, text.size() - 1) + name;
  return KeepsToColumns(same_line) ? same_line : text + "          " + name;
}

std::string HandlerTable(const Flavour& flavour,
                         const std::vector<Method>& methods) {
  std::string text =
      "  static constexpr ::tern::MethodHandler kMethods[] = {\n";
  for (const Method& method : methods) text += HandlerEntry(flavour, method);
  return text + "  };\n";
}

std::string DefaultHandler(const Flavour& flavour, const Method& method) {
  const auto comment = [](const char* name) {
    return "/*" + std::string(name) + "*/";
  };
  std::string text = FunctionLayout(
      0, "inline " + flavour.result, flavour.name + "::" + method.name,
      Parameters(flavour, method, comment), ") {");
  text +=
      Layout(2, flavour.answer, {"\"" + method.full_name + "\""}, flavour.tail);
  return text + "}\n\n";
}

std::string ServiceNameFunction(const Flavour& flavour,
                                const Service& service) {
  std::string head = "inline ::std::string_view " + flavour.name +
                     "::TernServiceName() const {";
  std::string body = "return \"" + service.full_name + "\";";
  std::string one_line = head + " " + body + " }\n";
  if (KeepsToColumns(one_line)) return one_line;
  return head + "\n  " + body + "\n}\n";
}

std::string Definitions(const Flavour& flavour, const Service& service) {
  const std::vector<Method>& methods = service.methods;
  std::string text = "\n";
  for (const Method& method : methods) text += DefaultHandler(flavour, method);
  text += ServiceNameFunction(flavour, service) + "\n";
  const std::string head = "inline ::std::span<const ::tern::MethodHandler>";
  const std::string name = flavour.name + "::TernMethods() const {";
  text += head;
  text += KeepsToColumns(head + " " + name) ? " " : "\n";
  text += name + "\n";
  text += methods.empty()
              ? "  return {};\n}\n"
              : HandlerTable(flavour, methods) + "  return kMethods;\n}\n";
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
      includes.others.insert(
          {"tern/lib/call/task.h", "tern/server/callback_service.h",
           "tern/server/co_service.h", "tern/server/responder.h"});
      if (method.is_streaming()) {
        includes.others.insert("tern/server/server_stream.h");
      }
    }
  }
  includes.others.insert(file.pb_headers.begin(), file.pb_headers.end());
  std::string body;
  for (const Service& service : file.services) {
    std::string text = "\n" + ServiceClass(service);
    text += OtherClasses(service) + "\n" + std::string(kDefinitionsComment);
    text += Definitions(Blocking(), service);
    if (!service.methods.empty()) {
      text += Definitions(Coroutines(), service);
      text += Definitions(Callbacks(), service);
    }
    body += InNamespace(service, text);
  }
  return HeaderText(file, "server", includes, body);
}

}  // namespace tern::codegen
