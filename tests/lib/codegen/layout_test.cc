#include "tern/lib/codegen/layout.h"

#include <string>

#include "gtest/gtest.h"

namespace tern::codegen {
namespace {

std::string Wide(size_t columns) { return std::string(columns, 'x'); }

TEST(Layout, KeepsToOneLineUpToEightyColumns) {
  EXPECT_EQ(Layout(2, "f(", {"a", "b"}, ");"), "  f(a, b);\n");
  // 2 + "f(" + 74 + ");" is 80.
  EXPECT_EQ(Layout(2, "f(", {Wide(74)}, ");"), "  f(" + Wide(74) + ");\n");
  EXPECT_EQ(Layout(2, "f(", {Wide(75)}, ");"),
            "  f(\n      " + Wide(75) + ");\n");
}

TEST(Layout, AlignsWhatDoesNotFitBehindTheHead) {
  EXPECT_EQ(Layout(0, "f(", {Wide(60), Wide(30), "b"}, ");"),
            "f(" + Wide(60) + ",\n  " + Wide(30) + ", b);\n");
}

TEST(Layout, StartsANewLineWhereTheHeadLeavesNoRoom) {
  std::string head = Wide(50) + "(";
  EXPECT_EQ(Layout(0, head, {Wide(40), "b"}, ");"),
            head + "\n    " + Wide(40) + ", b);\n");
}

TEST(Layout, LeavesNoBlankAtTheEndOfALine) {
  EXPECT_EQ(Layout(0, "a = ", {Wide(78)}, ";"), "a =\n    " + Wide(78) + ";\n");
}

TEST(Layout, PutsOverrideOnALineOfItsOwnIfNeeded) {
  EXPECT_EQ(Layout(0, "f(", {Wide(74)}, ") override;"),
            "f(\n    " + Wide(74) + ")\n    override;\n");
}

TEST(FunctionLayout, GivesALongReturnTypeItsOwnLine) {
  EXPECT_EQ(FunctionLayout(2, "int", "f", {"a"}, ");"), "  int f(a);\n");
  EXPECT_EQ(FunctionLayout(2, Wide(40), "g" + Wide(40), {"a"}, ");"),
            "  " + Wide(40) + "\n  g" + Wide(40) + "(a);\n");
}

TEST(Layout, BreaksAType) {
  const std::string type = "Stream<" + Wide(40) + ", " + Wide(40) + ">";
  const std::string broken =
      "    Stream<" + Wide(40) + ",\n           " + Wide(40) + ">";
  EXPECT_EQ(Layout(0, Wide(30) + "(", {type + "& s", "b"}, ");"),
            Wide(30) + "(\n" + broken + "& s, b);\n");
  EXPECT_EQ(FunctionLayout(4, type, "f", {"a"}, ");"),
            broken + "\n    f(a);\n");
}

TEST(Layout, LeavesATypeThatNoBreakHelps) {
  const std::string type = "Stream<" + Wide(40) + ", " + Wide(90) + ">";
  EXPECT_EQ(Layout(0, "f(", {type}, ");"), "f(\n    " + type + ");\n");
}

TEST(Layout, BeginsWithItsItemsWhereThereIsNoHead) {
  EXPECT_EQ(Layout(2, "", {Wide(90), "b"}, ","), "  " + Wide(90) + ",\n  b,\n");
}

}  // namespace
}  // namespace tern::codegen
