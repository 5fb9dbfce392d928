// The code of docs/compression.md.

#include <string>

#include "docs/snippets/weather.tern.client.h"
#include "docs/snippets/weather.tern.server.h"
#include "gtest/gtest.h"
#include "tern/client/channel.h"
#include "tern/lib/compress/gzip_compressor.h"
#include "tern/lib/compress/zstd_compressor.h"
#include "tern/server/server.h"

namespace weather::v1 {
namespace {

class WeatherService final : public Weather::Service {
  absl::Status Now(tern::ServerContext&, const Place& place,
                   Report* report) override {
    report->set_place(place.name());
    return absl::OkStatus();
  }
};

TEST(CompressionDocs, BothEndsNameTheirCodecs) {
  WeatherService service;
  tern::Server server(
      {.listen = {"localhost:0"},
       .compressors = {tern::ZstdCompressor(), tern::GzipCompressor()}});
  server.Register(&service);
  ASSERT_TRUE(server.Start().ok());
  auto channel = tern::Channel::Create(
      server.addresses()[0], {.compressors = {tern::ZstdCompressor()},
                              .compression = tern::Compression::kZstd});
  Weather::Stub weather(*channel);
  Place place;
  place.set_name(std::string(10'000, 'x'));
  EXPECT_TRUE(weather.Now(place).ok());
  absl::StatusOr<Report> report =
      weather.Now(place, {.compression = tern::Compression::kNone});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->place(), place.name());
}

}  // namespace
}  // namespace weather::v1
