#include "tern/lib/wire/call_header.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tern/lib/wire/field_codec.h"

namespace tern::wire {
namespace {

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed ", what));
}

absl::Status TooLong(std::string_view block) {
  return absl::ResourceExhaustedError(
      absl::StrCat("header block of ", block.size(),
                   " bytes exceeds the protocol's limit of ",
                   kMaxHeaderBlockBytes, " bytes"));
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_';
}

// A name that this thread has found to be good. Most calls are of few methods,
// and to compare costs 40 instructions where to look at each byte costs 280.
struct KnownMethodName {
  size_t size = 0;
  char bytes[kMaxMethodBytes] = {};
};
thread_local KnownMethodName known_method_name;

bool CheckMethodName(std::string_view name) {
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos || slash == 0 ||
      slash + 1 == name.size() || name.size() > kMaxMethodBytes) {
    return false;
  }
  const std::string_view service = name.substr(0, slash);
  const std::string_view method = name.substr(slash + 1);
  return std::all_of(service.begin(), service.end(),
                     [](char c) { return IsNameCharacter(c) || c == '.'; }) &&
         std::all_of(method.begin(), method.end(), IsNameCharacter);
}

bool ReadTrace(std::string_view bytes, TraceContext* trace) {
  FieldReader reader(bytes);
  while (reader.Next()) {
    switch (reader.tag()) {
      case MakeTag(1, WireType::kFixed64):
        reader.Singular();
        trace->trace_id_high = reader.fixed64();
        break;
      case MakeTag(2, WireType::kFixed64):
        reader.Singular();
        trace->trace_id_low = reader.fixed64();
        break;
      case MakeTag(3, WireType::kFixed64):
        reader.Singular();
        trace->span_id = reader.fixed64();
        break;
      case MakeTag(4, WireType::kVarint):
        reader.Singular();
        trace->flags = reader.varint32();
        break;
      default:
        reader.Unknown(4);
    }
  }
  return reader.ok();
}

bool ReadRequestId(std::string_view bytes, RequestId* id) {
  FieldReader reader(bytes);
  while (reader.Next()) {
    switch (reader.tag()) {
      case MakeTag(1, WireType::kFixed64):
        reader.Singular();
        id->client = reader.fixed64();
        break;
      case MakeTag(2, WireType::kVarint):
        reader.Singular();
        id->sequence = reader.varint();
        break;
      case MakeTag(3, WireType::kVarint):
        reader.Singular();
        id->attempt = reader.varint32();
        break;
      default:
        reader.Unknown(3);
    }
  }
  return reader.ok();
}

template <typename Fields>
void PutCallHeader(const CallHeader& header, Fields& fields) {
  fields.Bytes(1, header.method);
  fields.Varint(2, header.timeout_us);
  if (!header.metadata.empty()) PutMetadata(3, header.metadata, fields);
  if (header.priority != 0) fields.Varint(4, header.priority);
  if (header.required_features != 0) {
    fields.Varint(5, header.required_features);
  }
  if (const RequestId& id = header.request_id; id != RequestId()) {
    fields.Message(6, [&](auto& inner) {
      if (id.client != 0) inner.Fixed64(1, id.client);
      if (id.sequence != 0) inner.Varint(2, id.sequence);
      if (id.attempt != 0) inner.Varint(3, id.attempt);
    });
  }
  if (const TraceContext& trace = header.trace; trace != TraceContext()) {
    fields.Message(7, [&](auto& inner) {
      if (trace.trace_id_high != 0) inner.Fixed64(1, trace.trace_id_high);
      if (trace.trace_id_low != 0) inner.Fixed64(2, trace.trace_id_low);
      if (trace.span_id != 0) inner.Fixed64(3, trace.span_id);
      if (trace.flags != 0) inner.Varint(4, trace.flags);
    });
  }
  if (header.codec != 0) fields.Varint(8, header.codec);
  if (header.compression != 0) fields.Varint(9, header.compression);
}

}  // namespace

bool IsMethodName(std::string_view name) {
  KnownMethodName& known = known_method_name;
  if (!name.empty() && name == std::string_view(known.bytes, known.size)) {
    return true;
  }
  if (!CheckMethodName(name)) return false;
  known.size = name.copy(known.bytes, sizeof(known.bytes));
  return true;
}

absl::Status ParseCallHeader(std::string_view block,
                             const MetadataLimits& limits, CallHeader* header) {
  if (block.size() > kMaxHeaderBlockBytes) return TooLong(block);
  FieldReader reader(block);
  MetadataChecker checker(limits);
  bool has_timeout = false;
  while (reader.Next()) {
    switch (reader.tag()) {
      case MakeTag(1, WireType::kBytes):
        reader.Singular();
        header->method = reader.bytes();
        break;
      case MakeTag(2, WireType::kVarint):
        reader.Singular();
        header->timeout_us = reader.varint();
        has_timeout = true;
        break;
      case MakeTag(3, WireType::kBytes):
        if (absl::Status status =
                ReadMetadataEntry(reader, checker, &header->metadata);
            !status.ok()) {
          return status;
        }
        break;
      case MakeTag(4, WireType::kVarint):
        reader.Singular();
        header->priority = std::min(reader.varint32(), kMaxPriority);
        break;
      case MakeTag(5, WireType::kVarint):
        reader.Singular();
        header->required_features = reader.varint();
        break;
      case MakeTag(6, WireType::kBytes):
        reader.Singular();
        if (!ReadRequestId(reader.bytes(), &header->request_id)) reader.Fail();
        break;
      case MakeTag(7, WireType::kBytes):
        reader.Singular();
        if (!ReadTrace(reader.bytes(), &header->trace)) reader.Fail();
        break;
      case MakeTag(8, WireType::kVarint):
        reader.Singular();
        header->codec = reader.varint32();
        break;
      case MakeTag(9, WireType::kVarint):
        reader.Singular();
        header->compression = reader.varint32();
        break;
      default:
        reader.Unknown(9);
    }
  }
  if (!reader.ok()) return Malformed("call header");
  if (!IsMethodName(header->method)) {
    return absl::InvalidArgumentError(
        header->method.empty()
            ? "call header without a method"
            : "method name is not of the form package.Service/Method");
  }
  if (!has_timeout) {
    return absl::InvalidArgumentError("call header without a timeout");
  }
  return absl::OkStatus();
}

size_t CallHeaderSize(const CallHeader& header) {
  FieldSizer sizer;
  PutCallHeader(header, sizer);
  return sizer.size();
}

void WriteCallHeader(const CallHeader& header, char* out) {
  FieldWriter writer(out);
  PutCallHeader(header, writer);
}

absl::Status ParseResponseHeader(std::string_view block,
                                 const MetadataLimits& limits,
                                 ResponseHeader* header) {
  if (block.size() > kMaxHeaderBlockBytes) return TooLong(block);
  FieldReader reader(block);
  MetadataChecker checker(limits);
  while (reader.Next()) {
    switch (reader.tag()) {
      case MakeTag(1, WireType::kBytes):
        if (absl::Status status =
                ReadMetadataEntry(reader, checker, &header->metadata);
            !status.ok()) {
          return status;
        }
        break;
      case MakeTag(2, WireType::kVarint):
        reader.Singular();
        header->compression = reader.varint32();
        break;
      default:
        reader.Unknown(2);
    }
  }
  return reader.ok() ? absl::OkStatus() : Malformed("response header");
}

void AppendResponseHeader(const ResponseHeader& header, std::string* out) {
  AppendFields(
      [&](auto& fields) {
        PutMetadata(1, header.metadata, fields);
        if (header.compression != 0) fields.Varint(2, header.compression);
      },
      out);
}

}  // namespace tern::wire
