#include "tern/lib/base/status_macros.h"

#include <memory>

#include "gtest/gtest.h"

namespace tern {
namespace {

absl::Status Fail() { return absl::AbortedError("no"); }

TEST(StatusMacros, ReturnIfErrorReturnsTheErrorAndPassesOk) {
  bool passed = false;
  const auto function = [&](absl::Status status) -> absl::Status {
    TERN_RETURN_IF_ERROR(status);
    passed = true;
    return absl::OkStatus();
  };
  EXPECT_EQ(function(Fail()), Fail());
  EXPECT_FALSE(passed);
  EXPECT_TRUE(function(absl::OkStatus()).ok());
  EXPECT_TRUE(passed);
}

TEST(StatusMacros, ReturnIfErrorConvertsToStatusOr) {
  const auto function = []() -> absl::StatusOr<int> {
    TERN_RETURN_IF_ERROR(Fail());
    return 1;
  };
  EXPECT_EQ(function().status(), Fail());
}

TEST(StatusMacros, AssignOrReturnMovesTheValueOrReturnsTheError) {
  using Pointer = std::unique_ptr<int>;
  const auto function =
      [](absl::StatusOr<Pointer> given) -> absl::StatusOr<int> {
    TERN_ASSIGN_OR_RETURN(const Pointer pointer, std::move(given));
    TERN_ASSIGN_OR_RETURN(const int one, absl::StatusOr<int>(1));
    return *pointer + one;
  };
  EXPECT_EQ(*function(std::make_unique<int>(6)), 7);
  EXPECT_EQ(function(Fail()).status(), Fail());
}

}  // namespace
}  // namespace tern
