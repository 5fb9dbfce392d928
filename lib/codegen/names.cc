#include "tern/lib/codegen/names.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include "google/protobuf/compiler/cpp/names.h"

namespace tern::codegen {
namespace {

// Protobuf's list (kKeywordList of compiler/cpp/helpers.cc), as of version 30;
// the words that C++20 added came into it after 3.21. Sorted.
constexpr std::string_view kKeywords[] = {
    "NULL",
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "assert",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "char8_t",
    "class",
    "co_await",
    "co_return",
    "co_yield",
    "compl",
    "concept",
    "const",
    "const_cast",
    "consteval",
    "constexpr",
    "constinit",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "requires",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
};
static_assert(std::ranges::is_sorted(kKeywords));

// What the generated classes of a service are called or declare themselves. A
// method is named the same in all of them, so one list serves all.
constexpr std::string_view kOwnNames[] = {
    "CallbackService",
    "Co",
    "CoService",
    "CoStub",
    "MockStub",
    "Service",
    "Stub",
    "StubInterface",
    "TernMethods",
    "TernServiceName",
    "channel_",
    "kServiceName",
    "stub_",
};
static_assert(std::ranges::is_sorted(kOwnNames));

bool Contains(std::span<const std::string_view> sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

// True for "kGetMethod" where Get is a method: in the stub's functions it would
// hide the constant.
bool IsMethodConstant(std::string_view name,
                      const std::set<std::string>& methods) {
  return std::any_of(methods.begin(), methods.end(),
                     [&](const std::string& method) {
                       return MethodConstant(method) == name;
                     });
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }

}  // namespace

std::string EscapeKeyword(std::string_view name) {
  std::string escaped(name);
  if (Contains(kKeywords, name)) escaped += '_';
  return escaped;
}

std::string PackageNamespace(std::string_view package) {
  std::string result;
  while (!package.empty()) {
    size_t dot = std::min(package.find('.'), package.size());
    if (!result.empty()) result += "::";
    result += EscapeKeyword(package.substr(0, dot));
    package.remove_prefix(std::min(dot + 1, package.size()));
  }
  return result;
}

std::string MethodName(std::string_view name,
                       const std::set<std::string>& methods) {
  if (Contains(kOwnNames, name) || IsMethodConstant(name, methods)) {
    return std::string(name) + "_";
  }
  return EscapeKeyword(name);
}

std::string MethodConstant(std::string_view name) {
  return "k" + std::string(name) + "Method";
}

std::string MessageClass(const google::protobuf::Descriptor& message) {
  std::string scope = PackageNamespace(std::string(message.file()->package()));
  if (!scope.empty()) scope = "::" + scope;
  return scope + "::" + google::protobuf::compiler::cpp::ClassName(&message);
}

std::string StripProtoSuffix(std::string_view path) {
  return google::protobuf::compiler::cpp::StripProto(std::string(path));
}

std::string IncludeGuard(std::string_view path_without_suffix,
                         std::string_view kind) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string guard;
  for (char c : path_without_suffix) {
    if (IsLower(c)) {
      guard += static_cast<char>(c - 'a' + 'A');
    } else if (IsDigit(c) && !guard.empty()) {
      guard += c;
    } else if (c == '/') {
      guard += '_';
    } else {
      auto byte = static_cast<unsigned char>(c);
      guard += "_x";
      guard += kHex[byte >> 4];
      guard += kHex[byte & 15];
    }
  }
  return guard + "_TERN_" + std::string(kind) + "_H_";
}

}  // namespace tern::codegen
