// The code of docs/extras.md, compiled and run.

#include <iostream>
#include <string>

#include "absl/strings/cord.h"
#include "docs/snippets/camera.tern.client.h"
#include "docs/snippets/camera.tern.server.h"
#include "gtest/gtest.h"
#include "tern/lib/call/status_details.h"
#include "tern/testing/local_server.h"

namespace weather::v1 {
namespace {

absl::Cord shown;

std::string ReadPhoto() { return std::string(100'000, 'p'); }
std::string Hash(const absl::Cord&) { return std::string("\0\xff", 2); }
absl::Cord Smaller(const absl::Cord& photo) { return photo.Subcord(0, 1000); }
void Show(const absl::Cord& photo) { shown = photo; }

class CameraService final : public Camera::Service {
 public:
  absl::Status Picture(tern::ServerContext& context, const Place& place,
                       Report* report) override {
    if (place.name() != "Oslo") {
      Place nearest;
      nearest.set_name("Oslo");
      return tern::WithDetails(absl::NotFoundError("no such place"), nearest);
    }
    report->set_place(std::string(*context.metadata().Get("user")));
    const absl::Cord& photo = context.attachment();
    context.response_metadata().Add("camera", "3");
    context.trailing_metadata().Add("hash-bin", Hash(photo));
    context.set_reply_attachment(Smaller(photo));
    return absl::OkStatus();
  }
};

class Extras : public ::testing::Test {
 protected:
  CameraService service_;
  tern::testing::LocalServer local_{&service_};
  Camera::Stub weather_{local_.channel()};
};

TEST_F(Extras, TravelWithACall) {
  Camera::Stub& weather = weather_;
  Place place;
  place.set_name("Oslo");
  tern::CallInfo info;
  absl::StatusOr<Report> report =
      weather.Picture(place, {.metadata = {{"user", "jo"}},
                              .attachment = absl::Cord(ReadPhoto()),
                              .info = &info});
  if (report.ok()) Show(info.attachment);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->place(), "jo");
  EXPECT_EQ(shown, std::string(1000, 'p'));
  EXPECT_EQ(info.response_metadata.Get("camera"), "3");
  EXPECT_EQ(info.trailing_metadata.Get("hash-bin"), std::string("\0\xff", 2));
}

TEST_F(Extras, ComeWithAnError) {
  Camera::Stub& weather = weather_;
  Place place;
  absl::StatusOr<Report> report = weather.Picture(place);
  if (auto nearest = tern::GetDetail<Place>(report.status())) {
    std::cerr << "nearest: " << nearest->name() << "\n";
  }
  EXPECT_EQ(report.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(tern::GetDetail<Place>(report.status())->name(), "Oslo");
}

}  // namespace
}  // namespace weather::v1
