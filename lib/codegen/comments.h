#ifndef TERN_LIB_CODEGEN_COMMENTS_H_
#define TERN_LIB_CODEGEN_COMMENTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace tern::codegen {

// The comments of a .proto's element as lines of C++: detached ones first, each
// followed by an empty line, then the leading one and the trailing one. Lines
// are broken as in the source; none has a line break or can end the comment
// early. Empty when there is no comment, or the descriptor carries none.
std::vector<std::string> CommentLines(
    const google::protobuf::SourceLocation& location);

// One line of a comment, as "// text" or "//". A line of C++ that starts a
// comment goes on when it ends in a backslash, and compilers refuse some
// characters even in comments; here they do no harm.
std::string CommentLine(std::string_view text);

}  // namespace tern::codegen

#endif  // TERN_LIB_CODEGEN_COMMENTS_H_
