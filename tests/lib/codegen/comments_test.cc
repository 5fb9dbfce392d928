#include "tern/lib/codegen/comments.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tern::codegen {
namespace {

using Lines = std::vector<std::string>;

// As protoc hands over a // comment.
Lines Leading(const std::string& text) {
  google::protobuf::SourceLocation location = {};
  location.leading_comments = text;
  return CommentLines(location);
}

TEST(Comments, KeepLinesAndTheirIndentation) {
  EXPECT_EQ(Leading(" One.\n\n   Two.\n"),
            Lines({"// One.", "//", "//   Two."}));
}

TEST(Comments, PutASpaceBehindTheSlashes) {
  EXPECT_EQ(CommentLine("text"), "// text");
  EXPECT_EQ(CommentLine("/ Three slashes."), "/// Three slashes.");
}

TEST(Comments, DropEmptyLinesAroundThem) {
  EXPECT_EQ(Leading("\n \n text\n\n"), Lines({"// text"}));
  EXPECT_EQ(Leading("\n"), Lines());
  EXPECT_EQ(Leading(""), Lines());
}

TEST(Comments, PutDetachedOnesFirstAndTrailingOnesLast) {
  google::protobuf::SourceLocation location = {};
  location.leading_detached_comments = {" First.\n", " \n", " Second.\n"};
  location.leading_comments = " Leading.\n";
  location.trailing_comments = " Trailing.\n";
  EXPECT_EQ(CommentLines(location), Lines({"// First.", "", "// Second.", "",
                                           "// Leading.", "// Trailing."}));
}

TEST(Comments, DoNotSwallowTheNextLine) {
  EXPECT_EQ(CommentLine(" C:\\temp\\"), "// C:\\temp\\ //");
  EXPECT_EQ(CommentLine(" blanks \\  \t "), "// blanks \\ //");
  EXPECT_EQ(CommentLine(" trigraph ?\?/"), "// trigraph ?\?/ //");
  EXPECT_EQ(CommentLine(" \\\r"), "// \\ //");
  EXPECT_EQ(CommentLine(" in \\ between"), "// in \\ between");
}

TEST(Comments, LeaveMarksOfOtherCommentsAlone) {
  EXPECT_EQ(CommentLine(" a */ b /* c // d"), "// a */ b /* c // d");
}

TEST(Comments, ContainNoControlCharacters) {
  EXPECT_EQ(CommentLine(" a\rb\fc\vd\te"), "// a b c d e");
  EXPECT_EQ(CommentLine(std::string(" a\0b", 4)), "// a b");
  EXPECT_EQ(CommentLine(" Windows line\r"), "// Windows line");
}

TEST(Comments, DoNotTurnTextAround) {
  EXPECT_EQ(CommentLine(" a\u202Eb\u2066c\u2069d\u202A"), "// abcd");
  EXPECT_EQ(CommentLine(" T\u00E4rn \u9DD7 \u2019"),
            "// T\u00E4rn \u9DD7 \u2019");
}

}  // namespace
}  // namespace tern::codegen
