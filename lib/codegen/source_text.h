#ifndef TERN_LIB_CODEGEN_SOURCE_TEXT_H_
#define TERN_LIB_CODEGEN_SOURCE_TEXT_H_

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tern/lib/codegen/model.h"

// What generated files have in common around their classes.
namespace tern::codegen {

struct Includes {
  std::set<std::string> standard;  // "span"
  std::set<std::string> others;    // "client/stub.h"
};

// A whole generated header; `kind` is "client", "server" or "mock".
std::string HeaderText(const File& file, std::string_view kind,
                       const Includes& includes, std::string_view body);

// The source that goes with HeaderText's header.
std::string SourceText(const File& file, std::string_view kind,
                       const Includes& includes, std::string_view body);

// The path of a generated header, from where includes start.
std::string HeaderPath(const File& file, std::string_view kind);
std::string SourcePath(const File& file, std::string_view kind);

// `body` in the namespace that stands for the service.
std::string InNamespace(const Service& service, std::string_view body);

// Lines as from CommentLines, indented.
std::string CommentText(size_t indent, const std::vector<std::string>& lines);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_SOURCE_TEXT_H_
