#include "tern/lib/codegen/mock_generator.h"

#include <vector>

#include "tern/lib/codegen/layout.h"
#include "tern/lib/codegen/source_text.h"
#include "tern/lib/codegen/stream_call.h"

namespace tern::codegen {
namespace {

std::string MockMethod(const std::string& result, const std::string& name,
                       const std::vector<std::string>& parameters) {
  const std::string head = "  MOCK_METHOD(";
  std::string text = Layout(2, "MOCK_METHOD(", {result, name}, ",") +
                     Layout(head.size(), "(", parameters, "),") +
                     Layout(head.size(), "(", {"override"}, "));");
  if (KeepsToColumns(text)) return text;
  return head + "\n" + Layout(6, "", {result, name}, ",") +
         Layout(6, "(", parameters, "),") + Layout(6, "(", {"override"}, "));");
}

std::string MockClass(const Service& service) {
  std::string text =
      "\n"
      "// For tests of code that takes a StubInterface.\n"
      "class MockStub : public StubInterface {\n"
      " public:\n";
  for (const Method& method : service.methods) {
    if (method.is_streaming()) {
      // In parentheses: its commas would divide the macro's arguments.
      text += MockMethod("(" + StreamType(method) + ")", method.name,
                         StreamParameters(method, ""));
      continue;
    }
    std::string request = "const " + method.request + "& request";
    std::string options = "const ::tern::CallOptions& options";
    text += MockMethod("::absl::StatusOr<" + method.reply + ">", method.name,
                       {request, options});
    text += MockMethod(
        "::tern::CallHandle", method.name,
        {request, options, "::tern::ReplyCallback<" + method.reply + "> done"});
  }
  return text + "};\n";
}

}  // namespace

std::string MockHeader(const File& file) {
  Includes includes = {.standard = {},
                       .others = {"gmock/gmock.h", HeaderPath(file, "client")}};
  std::string body;
  for (const Service& service : file.services) {
    body += InNamespace(service, MockClass(service));
  }
  return HeaderText(file, "mock", includes, body);
}

}  // namespace tern::codegen
