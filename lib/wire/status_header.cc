#include "tern/lib/wire/status_header.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tern/lib/wire/call_header.h"
#include "tern/lib/wire/field_codec.h"

namespace tern::wire {
namespace {

bool ReadDetail(std::string_view bytes, DetailView* detail) {
  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() > 2) continue;
    reader.Singular();
    (reader.field() == 1 ? detail->type_url : detail->value) = reader.bytes();
  }
  return reader.ok() && IsUtf8(detail->type_url);
}

absl::Status TooLong(std::string_view block) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "status of ", block.size(), " bytes exceeds the protocol's limit of ",
      kMaxHeaderBlockBytes, " bytes"));
}

absl::StatusCode ToCode(uint64_t code) {
  return code <= 16 ? static_cast<absl::StatusCode>(code)
                    : absl::StatusCode::kUnknown;
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

// A handler may put any bytes into its message; the peer must be able to read
// the status all the same.
std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    size_t size = 1;
    while (size < 4 && size < text.size() && !IsUtf8(text.substr(0, size))) {
      ++size;
    }
    const bool is_character = IsUtf8(text.substr(0, size));
    if (!is_character) size = 1;
    valid.append(is_character ? text.substr(0, size) : "?");
    text.remove_prefix(size);
  }
  return valid;
}

}  // namespace

absl::Status ParseStatusHeader(std::string_view block,
                               const MetadataLimits& limits,
                               StatusHeader* header) {
  if (block.size() > kMaxHeaderBlockBytes) return TooLong(block);
  FieldReader reader(block);
  MetadataChecker checker(limits);
  while (reader.Next()) {
    switch (reader.tag()) {
      case MakeTag(1, WireType::kVarint):
        reader.Singular();
        header->code = ToCode(reader.varint());
        break;
      case MakeTag(2, WireType::kBytes):
        reader.Singular();
        header->message = reader.bytes();
        break;
      case MakeTag(3, WireType::kBytes): {
        DetailView detail;
        if (!ReadDetail(reader.bytes(), &detail)) reader.Fail();
        header->details.push_back(detail);
        break;
      }
      case MakeTag(4, WireType::kVarint): {
        reader.Singular();
        const uint64_t certainty = reader.varint();
        header->certainty = certainty <= 2 ? static_cast<Certainty>(certainty)
                                           : Certainty::kMaybeStarted;
        break;
      }
      case MakeTag(5, WireType::kVarint):
        reader.Singular();
        header->retry_after_ms = reader.varint32();
        break;
      case MakeTag(6, WireType::kVarint):
        reader.Singular();
        header->load_permille = reader.varint32();
        break;
      case MakeTag(7, WireType::kVarint):
        reader.Singular();
        header->queue_us = reader.varint();
        break;
      case MakeTag(8, WireType::kVarint):
        reader.Singular();
        header->handler_us = reader.varint();
        break;
      case MakeTag(9, WireType::kBytes):
        if (absl::Status status =
                ReadMetadataEntry(reader, checker, &header->trailing_metadata);
            !status.ok()) {
          return status;
        }
        break;
      case MakeTag(10, WireType::kVarint):
        reader.Singular();
        header->truncated = reader.varint() != 0;
        break;
      default:
        reader.Unknown(10);
    }
  }
  if (!reader.ok() || !IsUtf8(header->message)) {
    return absl::InvalidArgumentError("malformed status");
  }
  return absl::OkStatus();
}

// In the order of the fields' numbers, as protobuf's own code does it.
template <typename Fields>
void StatusBlock::Put(Fields& fields) const {
  if (header_.code != absl::StatusCode::kOk) {
    fields.Varint(1, static_cast<uint64_t>(header_.code));
  }
  if (!message_.empty()) fields.Bytes(2, message_);
  if (details_) {
    for (const DetailView& detail : header_.details) {
      fields.Message(3, [&](auto& any) {
        if (!detail.type_url.empty()) any.Bytes(1, detail.type_url);
        if (!detail.value.empty()) any.Bytes(2, detail.value);
      });
    }
  }
  if (header_.certainty != Certainty::kMaybeStarted) {
    fields.Varint(4, static_cast<uint64_t>(header_.certainty));
  }
  if (header_.retry_after_ms) fields.Varint(5, *header_.retry_after_ms);
  if (header_.load_permille) fields.Varint(6, *header_.load_permille);
  if (header_.queue_us) fields.Varint(7, *header_.queue_us);
  if (header_.handler_us) fields.Varint(8, *header_.handler_us);
  if (trailing_metadata_ && !header_.trailing_metadata.empty()) {
    PutMetadata(9, header_.trailing_metadata, fields);
  }
  if (truncated_) fields.Varint(10, 1);
}

void StatusBlock::Write(char* out) const {
  FieldWriter writer(out);
  Put(writer);
}

size_t StatusBlock::Measure() const {
  FieldSizer sizer;
  Put(sizer);
  return sizer.size();
}

// Details that are not worth a try: too large, or not for the wire.
bool StatusBlock::DetailsFit(size_t max_bytes) const {
  size_t bytes = 0;
  for (const DetailView& detail : header_.details) {
    if (!IsUtf8(detail.type_url)) return false;
    bytes += detail.type_url.size() + detail.value.size();
  }
  return bytes <= max_bytes;
}

StatusBlock::StatusBlock(const StatusHeader& header, size_t max_bytes)
    : header_(header), message_(header.message), truncated_(header.truncated) {
  if (!IsUtf8(message_)) {
    mended_message_ = ReplaceInvalidUtf8(message_);
    message_ = mended_message_;
  }
  details_ = DetailsFit(max_bytes);
  truncated_ |= !details_;
  size_ = Measure();
  if (size_ <= max_bytes) return;
  truncated_ = true;
  details_ = false;
  size_ = Measure();
  if (size_ <= max_bytes) return;
  trailing_metadata_ = false;
  size_ = Measure();
  if (size_ <= max_bytes) return;
  // The message's tag and length take 4 bytes: max_bytes is at most 24,576.
  const std::string_view message = message_;
  message_ = {};
  const size_t left = max_bytes - Measure();
  message_ = CutUtf8(message, left - std::min<size_t>(left, 4));
  size_ = Measure();
}

}  // namespace tern::wire
