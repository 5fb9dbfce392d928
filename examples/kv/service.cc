#include "examples/kv/service.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "examples/kv/checks.h"
#include "examples/kv/limits.h"
#include "examples/kv/load.h"
#include "examples/kv/transact.h"
#include "examples/kv/watch.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/status_macros.h"

namespace kv {
namespace {

absl::Status CheckBatch(const v1::BatchPutRequest& request) {
  const size_t count = static_cast<size_t>(request.entries_size());
  if (count > kMaxBatchEntries) {
    return TooLarge("a batch", count, "entries", kMaxBatchEntries);
  }
  size_t bytes = 0;
  for (int i = 0; i < request.entries_size(); ++i) {
    const v1::Entry& entry = request.entries(i);
    if (absl::Status status = CheckEntry(entry.key(), entry.value());
        !status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("entries[", i, "]: ", status.message()));
    }
    bytes += entry.key().size() + entry.value().size();
  }
  if (bytes > kMaxBatchBytes) {
    return TooLarge("a batch", bytes, "bytes", kMaxBatchBytes);
  }
  return absl::OkStatus();
}

absl::Status CheckScan(const v1::ScanRequest& request) {
  if (request.page_size() > kMaxPageEntries) {
    return TooLarge("a page", request.page_size(), "entries", kMaxPageEntries);
  }
  if (request.prefix().size() > kMaxKeyBytes) {
    return TooLarge("a prefix", request.prefix().size(), "bytes", kMaxKeyBytes);
  }
  const std::string& token = request.page_token();
  if (token.size() > kMaxKeyBytes) {
    return TooLarge("a page token", token.size(), "bytes", kMaxKeyBytes);
  }
  if (!token.empty() && !token.starts_with(request.prefix())) {
    return absl::InvalidArgumentError(
        "the page token is of a scan with another prefix");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status KeyValueService::Get(tern::ServerContext&,
                                  const v1::GetRequest& request,
                                  v1::GetReply* reply) {
  TERN_RETURN_IF_ERROR(CheckKey(request.key()));
  absl::Status status = store_.Get(request.key(), reply->mutable_value());
  if (absl::IsNotFound(status)) {
    return absl::NotFoundError(absl::StrCat(
        "no value for the key \"", tern::EscapeForLog(request.key()), "\""));
  }
  return status;
}

absl::Status KeyValueService::Put(tern::ServerContext&,
                                  const v1::PutRequest& request,
                                  v1::PutReply*) {
  TERN_RETURN_IF_ERROR(CheckEntry(request.key(), request.value()));
  const Store::Entry entry = {request.key(), request.value()};
  return store_.Put({&entry, 1});
}

absl::Status KeyValueService::Delete(tern::ServerContext&,
                                     const v1::DeleteRequest& request,
                                     v1::DeleteReply*) {
  TERN_RETURN_IF_ERROR(CheckKey(request.key()));
  return store_.Delete(request.key());
}

absl::Status KeyValueService::Scan(tern::ServerContext&,
                                   const v1::ScanRequest& request,
                                   v1::ScanReply* reply) {
  TERN_RETURN_IF_ERROR(CheckScan(request));
  const size_t max_entries =
      request.page_size() == 0 ? kDefaultPageEntries : request.page_size();
  reply->set_revision(store_.changes().last_revision());
  size_t entries = 0;
  size_t bytes = 0;
  return store_.Scan(request.prefix(), request.page_token(),
                     [&](const Store::Entry& entry) {
                       bytes += entry.key.size() + entry.value.size();
                       if (entries == max_entries || bytes > kMaxPageBytes) {
                         reply->set_next_page_token(std::string(entry.key));
                         return false;
                       }
                       ++entries;
                       v1::Entry& added = *reply->add_entries();
                       added.set_key(std::string(entry.key));
                       added.set_value(std::string(entry.value));
                       return true;
                     });
}

absl::Status KeyValueService::BatchPut(tern::ServerContext&,
                                       const v1::BatchPutRequest& request,
                                       v1::BatchPutReply*) {
  TERN_RETURN_IF_ERROR(CheckBatch(request));
  if (request.entries().empty()) return absl::OkStatus();
  std::vector<Store::Entry> entries;
  entries.reserve(static_cast<size_t>(request.entries_size()));
  for (const v1::Entry& entry : request.entries()) {
    entries.push_back({entry.key(), entry.value()});
  }
  return store_.Put(entries);
}

absl::Status KeyValueService::Load(tern::ServerContext& context,
                                   tern::ServerReader<v1::LoadRequest>& reader,
                                   v1::LoadReply* reply) {
  return kv::Load(store_, context, reader, reply);
}

absl::Status KeyValueService::Transact(
    tern::ServerContext& context,
    tern::ServerStream<v1::TransactRequest, v1::TransactReply>& stream) {
  return kv::Transact(store_, max_transaction_time_, context, stream);
}

absl::Status KeyValueService::Watch(
    tern::ServerContext& context, const v1::WatchRequest& request,
    tern::ServerWriter<v1::WatchReply>& writer) {
  return kv::Watch(store_.changes(), context, request, writer);
}

}  // namespace kv
