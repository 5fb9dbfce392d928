#include "lib/wire/status_header.h"

#include "absl/strings/str_cat.h"
#include "lib/wire/call_header.h"
#include "lib/wire/field_codec.h"

namespace tern::wire {
namespace {

bool ReadDetail(std::string_view bytes, DetailView* detail) {
  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() > 2) continue;
    reader.Singular();
    (reader.field() == 1 ? detail->type_url : detail->value) = reader.bytes();
  }
  return reader.ok();
}

absl::StatusCode ToCode(uint64_t code) {
  return code <= 16 ? static_cast<absl::StatusCode>(code)
                    : absl::StatusCode::kUnknown;
}

// Everything but message, details and trailing metadata: at most 40 bytes.
void AppendNumbers(const StatusHeader& header, std::string* out) {
  if (header.certainty != Certainty::kMaybeStarted) {
    AppendVarintField(4, static_cast<uint64_t>(header.certainty), out);
  }
  if (header.retry_after_ms) AppendVarintField(5, *header.retry_after_ms, out);
  if (header.load_permille) AppendVarintField(6, *header.load_permille, out);
  if (header.queue_us) AppendVarintField(7, *header.queue_us, out);
  if (header.handler_us) AppendVarintField(8, *header.handler_us, out);
}

// The longest prefix of `text` with at most `size` bytes that does not cut a
// UTF-8 sequence.
std::string_view CutUtf8(std::string_view text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) {
    --size;
  }
  return text.substr(0, size);
}

}  // namespace

absl::Status ParseStatusHeader(std::string_view block,
                               const MetadataLimits& limits,
                               StatusHeader* header) {
  if (block.size() > kMaxHeaderBlockBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "status of ", block.size(), " bytes exceeds the protocol's limit of ",
        kMaxHeaderBlockBytes, " bytes"));
  }
  FieldReader reader(block);
  MetadataChecker checker(limits);
  while (reader.Next()) {
    if (reader.field() > 10) continue;
    if (reader.field() != 3 && reader.field() != 9) reader.Singular();
    switch (reader.field()) {
      case 1:
        header->code = ToCode(reader.varint());
        break;
      case 2:
        header->message = reader.bytes();
        break;
      case 3: {
        DetailView detail;
        if (!ReadDetail(reader.bytes(), &detail)) reader.Fail();
        header->details.push_back(detail);
        break;
      }
      case 4: {
        const uint64_t certainty = reader.varint();
        header->certainty = certainty <= 2 ? static_cast<Certainty>(certainty)
                                           : Certainty::kMaybeStarted;
        break;
      }
      case 5:
        header->retry_after_ms = reader.varint32();
        break;
      case 6:
        header->load_permille = reader.varint32();
        break;
      case 7:
        header->queue_us = reader.varint();
        break;
      case 8:
        header->handler_us = reader.varint();
        break;
      case 9:
        if (absl::Status status =
                ReadMetadataEntry(reader, checker, &header->trailing_metadata);
            !status.ok()) {
          return status;
        }
        break;
      case 10:
        header->truncated = reader.varint() != 0;
        break;
    }
  }
  if (!reader.ok() || !IsUtf8(header->message)) {
    return absl::InvalidArgumentError("malformed status");
  }
  return absl::OkStatus();
}

void AppendStatusHeader(const StatusHeader& header, size_t max_bytes,
                        std::string* out) {
  const size_t start = out->size();
  const auto size = [&] { return out->size() - start; };
  if (header.code != absl::StatusCode::kOk) {
    AppendVarintField(1, static_cast<uint64_t>(header.code), out);
  }
  AppendNumbers(header, out);
  bool truncated = header.truncated;

  // What is optional goes behind what is kept, each only when all of it fits.
  // 2 bytes stay free for `truncated`, 4 for the message's tag and length.
  constexpr size_t kTruncatedBytes = 2;
  if (!header.message.empty()) {
    const size_t room = max_bytes - size() - kTruncatedBytes - 4;
    const std::string_view message = CutUtf8(header.message, room);
    truncated |= message.size() < header.message.size();
    AppendBytesField(2, message, out);
  }
  const auto append_all_or_nothing = [&](const auto& append) {
    const size_t before = out->size();
    append();
    if (size() + kTruncatedBytes > max_bytes) {
      out->resize(before);
      truncated = true;
    }
  };
  append_all_or_nothing([&] {
    for (const MetadataEntryView& entry : header.trailing_metadata) {
      AppendMetadataField(9, entry, out);
    }
  });
  append_all_or_nothing([&] {
    for (const DetailView& detail : header.details) {
      std::string any;
      AppendBytesField(1, detail.type_url, &any);
      AppendBytesField(2, detail.value, &any);
      AppendBytesField(3, any, out);
    }
  });
  if (truncated) AppendVarintField(10, 1, out);
}

}  // namespace tern::wire
