// Errors with details, from the handler that makes them to the caller that
// reads them.

#include <string>

#include "google/protobuf/duration.pb.h"
#include "tern/lib/call/status_details.h"
#include "tern/lib/wire/frame.h"
#include "tern/status.pb.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/frame_text.h"
#include "tests/testing/raw_socket.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using google::protobuf::Duration;

constexpr auto kHeaders = static_cast<uint8_t>(wire::FrameType::kHeaders);
constexpr auto kStatus = static_cast<uint8_t>(wire::FrameType::kStatus);

class DetailsTest : public EndToEnd {
 protected:
  // How a call ends whose handler returns NOT_FOUND, "gone", with `detail` and
  // three seconds.
  absl::Status CallThatFailsWith(const Message& detail) {
    service_.OnCall([detail](ServerContext&, const Message&, Message*) {
      Duration seconds;
      seconds.set_seconds(3);
      return WithDetails(absl::NotFoundError("gone"), detail, seconds);
    });
    if (server_ == nullptr) StartServer();
    const auto channel = Connect();
    return CallStatus(*channel, "x");
  }
  static Message Sized(size_t bytes) {
    Message message;
    message.set_payload(std::string(bytes, '\xff'));
    return message;
  }
};

TEST_F(DetailsTest, ComeAsTheHandlerGaveThem) {
  Message detail;
  detail.set_text("what is wrong");
  detail.set_payload(std::string("\0\xff\n", 3));
  const absl::Status status = CallThatFailsWith(detail);
  EXPECT_TRUE(Failed(status, StatusCode::kNotFound, Certainty::kFinished,
                     CallPhase::kHandler));
  EXPECT_EQ(status.message(), "gone");
  ASSERT_TRUE(GetDetail<Message>(status).has_value());
  EXPECT_EQ(GetDetail<Message>(status)->SerializeAsString(),
            detail.SerializeAsString());
  EXPECT_EQ(GetDetail<Duration>(status)->seconds(), 3);
  EXPECT_FALSE(CallError::From(status)->truncated);
}

// The status around them has some 150 bytes. (Where the limit is to the byte:
// tests/lib/wire/status_header_test.cc.)
TEST_F(DetailsTest, ThatAreTooLongAreLeftOutAndThatIsSaid) {
  const absl::Status fits = CallThatFailsWith(Sized(24'576 - 200));
  EXPECT_TRUE(GetDetail<Message>(fits).has_value());
  EXPECT_FALSE(CallError::From(fits)->truncated);

  for (const size_t size : {size_t{24'577}, size_t{5} << 20}) {
    const absl::Status status = CallThatFailsWith(Sized(size));
    // It is the same error all the same.
    EXPECT_TRUE(Failed(status, StatusCode::kNotFound, Certainty::kFinished,
                       CallPhase::kHandler));
    EXPECT_EQ(status.message(), "gone");
    EXPECT_FALSE(GetDetail<Message>(status).has_value());
    EXPECT_TRUE(CallError::From(status)->truncated);
    EXPECT_NE(status.ToString().find("; truncated"), std::string::npos)
        << status;
  }
}

// A handler that passes on the error of a call of its own passes on what that
// error says, but not how that call went.
TEST_F(DetailsTest, OfAnInnerCallArePassedOn) {
  StartServer();
  const auto inner = Connect();
  service_.OnOther([](ServerContext&, const Message&, Message*) {
    return WithDetails(absl::AbortedError("inner"), MessageWith("why"));
  });
  service_.OnCall([&](ServerContext&, const Message& request, Message*) {
    return Tester::Stub(*inner).Other(request).status();
  });
  const auto channel = Connect();
  const absl::Status status = CallStatus(*channel, "x");
  EXPECT_TRUE(Failed(status, StatusCode::kAborted, Certainty::kFinished));
  EXPECT_EQ(GetDetail<Message>(status)->text(), "why");
  EXPECT_EQ(CallError::From(status)->method, "tern.testing.Tester/Call");
}

// Of a server that is not ours. An absl::Status has one of a type only.
TEST_F(DetailsTest, TwoOfOneTypeAreNotTakenForOne) {
  RawListener listener;
  const auto channel = Channel::Create(listener.target());
  const auto call = StartCall(*channel, "x");
  RawConnection server = listener.Accept();
  server.ReadUntilFrame(kHeaders);
  wire::v1::Status status;
  status.set_code(5);
  status.add_details()->PackFrom(MessageWith("first"));
  status.add_details()->PackFrom(MessageWith("second"));
  server.Send(GreetingBytes() + RawFrame{.type = kStatus,
                                         .stream = 1,
                                         .block = status.SerializeAsString(),
                                         .payload = ""}
                                    .Bytes());
  const absl::Status got = call->WaitForStatus();
  EXPECT_EQ(GetDetail<Message>(got)->text(), "first");
  EXPECT_TRUE(CallError::From(got)->truncated);
}

}  // namespace
}  // namespace tern::testing
