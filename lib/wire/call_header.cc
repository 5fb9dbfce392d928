#include "tern/lib/wire/call_header.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tern/lib/wire/field_codec.h"

namespace tern::wire {
namespace {

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed ", what));
}

absl::Status CheckBlockSize(std::string_view block) {
  if (block.size() <= kMaxHeaderBlockBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("header block of ", block.size(),
                   " bytes exceeds the protocol's limit of ",
                   kMaxHeaderBlockBytes, " bytes"));
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_';
}

bool ReadTrace(std::string_view bytes, TraceContext* trace) {
  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() > 4) continue;
    reader.Singular();
    switch (reader.field()) {
      case 1:
        trace->trace_id_high = reader.fixed64();
        break;
      case 2:
        trace->trace_id_low = reader.fixed64();
        break;
      case 3:
        trace->span_id = reader.fixed64();
        break;
      case 4:
        trace->flags = reader.varint32();
        break;
    }
  }
  return reader.ok();
}

bool ReadRequestId(std::string_view bytes, RequestId* id) {
  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() > 3) continue;
    reader.Singular();
    switch (reader.field()) {
      case 1:
        id->client = reader.fixed64();
        break;
      case 2:
        id->sequence = reader.varint();
        break;
      case 3:
        id->attempt = reader.varint32();
        break;
    }
  }
  return reader.ok();
}

}  // namespace

bool IsMethodName(std::string_view name) {
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

absl::Status ParseCallHeader(std::string_view block,
                             const MetadataLimits& limits, CallHeader* header) {
  if (absl::Status size = CheckBlockSize(block); !size.ok()) return size;
  FieldReader reader(block);
  MetadataChecker checker(limits);
  bool has_timeout = false;
  while (reader.Next()) {
    if (reader.field() > 9) continue;
    if (reader.field() != 3) reader.Singular();
    switch (reader.field()) {
      case 1:
        header->method = reader.bytes();
        break;
      case 2:
        header->timeout_us = reader.varint();
        has_timeout = true;
        break;
      case 3:
        if (absl::Status status =
                ReadMetadataEntry(reader, checker, &header->metadata);
            !status.ok()) {
          return status;
        }
        break;
      case 4:
        header->priority = std::min(reader.varint32(), kMaxPriority);
        break;
      case 5:
        header->required_features = reader.varint();
        break;
      case 6:
        if (!ReadRequestId(reader.bytes(), &header->request_id)) reader.Fail();
        break;
      case 7:
        if (!ReadTrace(reader.bytes(), &header->trace)) reader.Fail();
        break;
      case 8:
        header->codec = reader.varint32();
        break;
      case 9:
        header->compression = reader.varint32();
        break;
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

void AppendCallHeader(const CallHeader& header, std::string* out) {
  AppendBytesField(1, header.method, out);
  AppendVarintField(2, header.timeout_us, out);
  for (const MetadataEntryView& entry : header.metadata) {
    AppendMetadataField(3, entry, out);
  }
  if (header.priority != 0) AppendVarintField(4, header.priority, out);
  if (header.required_features != 0) {
    AppendVarintField(5, header.required_features, out);
  }
  if (header.request_id != RequestId()) {
    std::string id;
    if (header.request_id.client != 0) {
      AppendFixed64Field(1, header.request_id.client, &id);
    }
    if (header.request_id.sequence != 0) {
      AppendVarintField(2, header.request_id.sequence, &id);
    }
    if (header.request_id.attempt != 0) {
      AppendVarintField(3, header.request_id.attempt, &id);
    }
    AppendBytesField(6, id, out);
  }
  if (header.trace != TraceContext()) {
    std::string trace;
    if (header.trace.trace_id_high != 0) {
      AppendFixed64Field(1, header.trace.trace_id_high, &trace);
    }
    if (header.trace.trace_id_low != 0) {
      AppendFixed64Field(2, header.trace.trace_id_low, &trace);
    }
    if (header.trace.span_id != 0) {
      AppendFixed64Field(3, header.trace.span_id, &trace);
    }
    if (header.trace.flags != 0) {
      AppendVarintField(4, header.trace.flags, &trace);
    }
    AppendBytesField(7, trace, out);
  }
  if (header.codec != 0) AppendVarintField(8, header.codec, out);
  if (header.compression != 0) AppendVarintField(9, header.compression, out);
}

absl::Status ParseResponseHeader(std::string_view block,
                                 const MetadataLimits& limits,
                                 ResponseHeader* header) {
  if (absl::Status size = CheckBlockSize(block); !size.ok()) return size;
  FieldReader reader(block);
  MetadataChecker checker(limits);
  while (reader.Next()) {
    if (reader.field() == 1) {
      if (absl::Status status =
              ReadMetadataEntry(reader, checker, &header->metadata);
          !status.ok()) {
        return status;
      }
    } else if (reader.field() == 2) {
      reader.Singular();
      header->compression = reader.varint32();
    }
  }
  return reader.ok() ? absl::OkStatus() : Malformed("response header");
}

void AppendResponseHeader(const ResponseHeader& header, std::string* out) {
  for (const MetadataEntryView& entry : header.metadata) {
    AppendMetadataField(1, entry, out);
  }
  if (header.compression != 0) AppendVarintField(2, header.compression, out);
}

}  // namespace tern::wire
