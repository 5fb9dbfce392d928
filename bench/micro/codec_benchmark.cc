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

std::string BlockOf(const CallHeader& header) {
  std::string block(CallHeaderSize(header), '\0');
  WriteCallHeader(header, block.data());
  return block;
}

void WriteCall(benchmark::State& state) {
  const CallHeader header = MakeCallHeader(state.range(0));
  std::string block = BlockOf(header);
  for (auto _ : state) {
    if (CallHeaderSize(header) != block.size()) state.SkipWithError("size");
    WriteCallHeader(header, block.data());
    benchmark::DoNotOptimize(block.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(WriteCall)->ArgName("metadata")->Arg(0)->Arg(4);

void ParseCall(benchmark::State& state) {
  const std::string block = BlockOf(MakeCallHeader(state.range(0)));
  for (auto _ : state) {
    CallHeader header;
    const bool ok = ParseCallHeader(block, MetadataLimits(), &header).ok();
    if (!ok) state.SkipWithError("it does not parse");
    benchmark::DoNotOptimize(header);
  }
}
BENCHMARK(ParseCall)->ArgName("metadata")->Arg(0)->Arg(4);

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

std::string BlockOf(const StatusHeader& header) {
  const StatusBlock written(header, kMaxHeaderBlockBytes);
  std::string block(written.size(), '\0');
  written.Write(block.data());
  return block;
}

void WriteStatus(benchmark::State& state) {
  const StatusHeader header = MakeStatusHeader(state.range(0) != 0);
  std::string block = BlockOf(header);
  for (auto _ : state) {
    const StatusBlock written(header, kMaxHeaderBlockBytes);
    if (written.size() != block.size()) state.SkipWithError("size");
    written.Write(block.data());
    benchmark::DoNotOptimize(block.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(WriteStatus)->ArgName("error")->Arg(0)->Arg(1);

void ParseStatus(benchmark::State& state) {
  const std::string block = BlockOf(MakeStatusHeader(state.range(0) != 0));
  for (auto _ : state) {
    StatusHeader header;
    const bool ok = ParseStatusHeader(block, MetadataLimits(), &header).ok();
    if (!ok) state.SkipWithError("it does not parse");
    benchmark::DoNotOptimize(header);
  }
}
BENCHMARK(ParseStatus)->ArgName("error")->Arg(0)->Arg(1);

}  // namespace
}  // namespace tern::wire
