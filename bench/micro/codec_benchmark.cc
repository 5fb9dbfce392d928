// Frame headers, and the header blocks of a call and of its status.

#include <string>

#include "benchmark/benchmark.h"
#include "tern/lib/wire/call_header.h"
#include "tern/lib/wire/frame.h"
#include "tern/lib/wire/status_header.h"

namespace tern::wire {
namespace {

void EncodeFrame(benchmark::State& state) {
  FrameHeader header = {
      .length = 64,
      .stream = 1,
      .type = static_cast<uint8_t>(FrameType::kHeaders),
      .flags = kFlagEndStream | kFlagEndMessage,
      .header_length = 40,
  };
  char bytes[kFrameHeaderBytes];
  for (auto _ : state) {
    header.stream += 2;
    EncodeFrameHeader(header, bytes);
    benchmark::DoNotOptimize(bytes);
  }
}
BENCHMARK(EncodeFrame);

void DecodeAndCheckFrame(benchmark::State& state) {
  char bytes[kFrameHeaderBytes];
  EncodeFrameHeader({.length = 64,
                     .stream = 1,
                     .type = static_cast<uint8_t>(FrameType::kHeaders),
                     .flags = kFlagEndStream | kFlagEndMessage,
                     .header_length = 40},
                    bytes);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes);
    const FrameHeader header = DecodeFrameHeader(bytes);
    const char* fault = CheckFrameHeader(header, /*from_client=*/true,
                                         /*checksum_allowed=*/false);
    benchmark::DoNotOptimize(fault);
  }
}
BENCHMARK(DecodeAndCheckFrame);

// With so many metadata entries as the argument says.
CallHeader MakeCallHeader(int64_t entries) {
  CallHeader header = {.method = "tern.bench.Echo/Call",
                       .timeout_us = 30'000'000};
  header.request_id = {.client = 0x0123456789abcdef, .sequence = 1'000'000};
  for (int64_t i = 0; i < entries; ++i) {
    header.metadata.push_back({.key = "authorization", .value = "Bearer 1234"});
  }
  return header;
}

void AppendCallHeader(benchmark::State& state) {
  const CallHeader header = MakeCallHeader(state.range(0));
  std::string block;
  for (auto _ : state) {
    block.clear();
    AppendCallHeader(header, &block);
    benchmark::DoNotOptimize(block.data());
  }
}
BENCHMARK(AppendCallHeader)->Arg(0)->Arg(4);

void ParseCallHeader(benchmark::State& state) {
  std::string block;
  AppendCallHeader(MakeCallHeader(state.range(0)), &block);
  for (auto _ : state) {
    CallHeader header;
    const bool ok = ParseCallHeader(block, MetadataLimits(), &header).ok();
    if (!ok) state.SkipWithError("it does not parse");
    benchmark::DoNotOptimize(header);
  }
}
BENCHMARK(ParseCallHeader)->Arg(0)->Arg(4);

// OK as a server says it; an error with a message.
StatusHeader MakeStatusHeader(bool error) {
  StatusHeader header;
  header.queue_us = 5;
  header.handler_us = 1;
  if (error) {
    header.code = absl::StatusCode::kNotFound;
    header.message = "no entry of that name";
    header.certainty = Certainty::kFinished;
  }
  return header;
}

void AppendStatusHeader(benchmark::State& state) {
  const StatusHeader header = MakeStatusHeader(state.range(0) != 0);
  std::string block;
  for (auto _ : state) {
    block.clear();
    AppendStatusHeader(header, kMaxHeaderBlockBytes, &block);
    benchmark::DoNotOptimize(block.data());
  }
}
BENCHMARK(AppendStatusHeader)->ArgName("error")->Arg(0)->Arg(1);

void ParseStatusHeader(benchmark::State& state) {
  std::string block;
  AppendStatusHeader(MakeStatusHeader(state.range(0) != 0),
                     kMaxHeaderBlockBytes, &block);
  for (auto _ : state) {
    StatusHeader header;
    const bool ok = ParseStatusHeader(block, MetadataLimits(), &header).ok();
    if (!ok) state.SkipWithError("it does not parse");
    benchmark::DoNotOptimize(header);
  }
}
BENCHMARK(ParseStatusHeader)->ArgName("error")->Arg(0)->Arg(1);

}  // namespace
}  // namespace tern::wire
