#include "tern/lib/call/status_details.h"

#include <string>

#include "absl/strings/cord.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/duration.pb.h"
#include "gtest/gtest.h"
#include "tests/testing/required.pb.h"
#include "tests/testing/tester.pb.h"

namespace tern {
namespace {

using google::protobuf::Duration;
using testing::Message;

Message MessageWith(const std::string& text) {
  Message message;
  message.set_text(text);
  return message;
}

Duration Seconds(int64_t seconds) {
  Duration duration;
  duration.set_seconds(seconds);
  return duration;
}

TEST(StatusDetails, ComeBackByTheirTypes) {
  const absl::Status status =
      WithDetails(absl::NotFoundError("gone"), MessageWith("x"), Seconds(3));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "gone");
  EXPECT_EQ(GetDetail<Message>(status)->text(), "x");
  EXPECT_EQ(GetDetail<Duration>(status)->seconds(), 3);
  EXPECT_FALSE(GetDetail<google::protobuf::Any>(status).has_value());
}

TEST(StatusDetails, AreNotThereWhereNobodyPutThem) {
  EXPECT_FALSE(GetDetail<Message>(absl::NotFoundError("x")).has_value());
  EXPECT_FALSE(GetDetail<Message>(absl::OkStatus()).has_value());
  // An OK has no place for them.
  const absl::Status ok = WithDetails(absl::OkStatus(), MessageWith("x"));
  EXPECT_TRUE(ok.ok());
  EXPECT_FALSE(GetDetail<Message>(ok).has_value());
}

TEST(StatusDetails, AreOneOfEachType) {
  const absl::Status status = WithDetails(
      absl::NotFoundError("x"), MessageWith("first"), MessageWith("second"));
  EXPECT_EQ(GetDetail<Message>(status)->text(), "second");
}

// An empty message is one all the same.
TEST(StatusDetails, MayBeEmpty) {
  const absl::Status status = WithDetails(absl::NotFoundError("x"), Message());
  EXPECT_TRUE(GetDetail<Message>(status).has_value());
}

TEST(StatusDetails, AreNamedAsAnyNamesThem) {
  const absl::Status status =
      WithDetails(absl::NotFoundError("x"), MessageWith("y"));
  google::protobuf::Any any;
  any.PackFrom(MessageWith("y"));
  EXPECT_EQ(status.GetPayload(any.type_url()), absl::Cord(any.value()));
}

TEST(StatusDetails, OfAnotherHostAreFound) {
  absl::Status status = absl::NotFoundError("x");
  status.SetPayload("types.example/a/tern.testing.Message",
                    absl::Cord(MessageWith("y").SerializeAsString()));
  EXPECT_EQ(GetDetail<Message>(status)->text(), "y");
  // Only the whole name counts.
  status = absl::NotFoundError("x");
  status.SetPayload("types.example/not.tern.testing.Message", absl::Cord("z"));
  EXPECT_FALSE(GetDetail<Message>(status).has_value());
}

TEST(StatusDetails, ThatCannotBeParsedAreNone) {
  absl::Status status = absl::NotFoundError("x");
  status.SetPayload("t/tern.testing.Message", absl::Cord("\x0a\x05x"));
  EXPECT_FALSE(GetDetail<Message>(status).has_value());
  // What they require is missing.
  status.SetPayload("t/tern.testing.RequiredMessage", absl::Cord());
  EXPECT_FALSE(GetDetail<testing::RequiredMessage>(status).has_value());
}

}  // namespace
}  // namespace tern
