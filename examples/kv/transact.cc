#include "examples/kv/transact.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "examples/kv/call_end.h"
#include "examples/kv/checks.h"
#include "examples/kv/limits.h"
#include "examples/kv/transaction.h"
#include "tern/lib/base/status_macros.h"
#include "tern/lib/call/deadline.h"

namespace kv {
namespace {

class Transacting {
 public:
  Transacting(
      Store& store, absl::Duration max_time, tern::ServerContext& context,
      tern::ServerStream<v1::TransactRequest, v1::TransactReply>& stream)
      : store_(store),
        max_time_(max_time),
        deadline_(tern::Deadline::After(max_time)),
        context_(context),
        stream_(stream) {}

  absl::Status Run();

 private:
  using Kind = v1::TransactRequest::OperationCase;

  absl::StatusOr<v1::TransactReply> Do(const v1::TransactRequest& request);
  absl::StatusOr<v1::TransactReply> Get(const std::string& key);
  // Counts the bytes of an operation.
  absl::Status Account(size_t bytes);
  absl::Status TooLong() const {
    return absl::AbortedError(
        absl::StrCat("the transaction has been open for more than ",
                     absl::FormatDuration(max_time_)));
  }

  Store& store_;
  const absl::Duration max_time_;
  const tern::Deadline deadline_;
  tern::ServerContext& context_;
  tern::ServerStream<v1::TransactRequest, v1::TransactReply>& stream_;

  std::unique_ptr<Transaction> transaction_;  // From the first request on.
  size_t operations_ = 0;
  size_t bytes_ = 0;
};

absl::Status Transacting::Run() {
  const tern::Cancellation::Registration on_drain =
      context_.OnDrain([this] { stream_.StopReads(); });
  v1::TransactRequest request;
  while (true) {
    switch (stream_.ReadUntil(&request, deadline_)) {
      case tern::Poll::kReady:
        break;
      case tern::Poll::kNotYet:
        return TooLong();
      case tern::Poll::kOver:
        if (context_.cancelled()) return EndedBefore("the commit", context_);
        if (stream_.cut_short()) return DrainedBefore("the commit");
        return absl::OkStatus();
    }
    if (deadline_.HasPassed()) return TooLong();
    if (transaction_ == nullptr) transaction_ = store_.Begin();
    const auto reply = Do(request);
    if (!reply.ok()) {
      if (!absl::IsInvalidArgument(reply.status())) return reply.status();
      return absl::Status(reply.status().code(),
                          absl::StrCat("requests[", operations_,
                                       "]: ", reply.status().message()));
    }
    ++operations_;
    const bool ends = reply->has_commit() || reply->has_abort();
    // What is committed is so, whether its reply finds a reader or not.
    const auto written = stream_.WriteUntil(*reply, deadline_);
    if (ends) return absl::OkStatus();
    if (written == tern::Poll::kNotYet) return TooLong();
  }
}

absl::StatusOr<v1::TransactReply> Transacting::Do(
    const v1::TransactRequest& request) {
  v1::TransactReply reply;
  const Kind kind = request.operation_case();
  if (kind == Kind::kCommit) {
    TERN_ASSIGN_OR_RETURN(const uint64_t revision, transaction_->Commit());
    reply.mutable_commit()->set_revision(revision);
    return reply;
  }
  if (kind == Kind::kAbort) {
    reply.mutable_abort();
    return reply;
  }
  if (operations_ == kMaxTransactionOperations) {
    return TooLarge("a transaction", operations_ + 1, "reads and writes",
                    kMaxTransactionOperations);
  }
  switch (kind) {
    case Kind::kGet:
      return Get(request.get().key());
    case Kind::kPut: {
      const v1::PutRequest& put = request.put();
      TERN_RETURN_IF_ERROR(CheckEntry(put.key(), put.value()));
      TERN_RETURN_IF_ERROR(Account(put.key().size() + put.value().size()));
      transaction_->Put(put.key(), put.value());
      reply.mutable_put();
      return reply;
    }
    case Kind::kDelete: {
      const std::string& key = request.delete_().key();
      TERN_RETURN_IF_ERROR(CheckKey(key));
      TERN_RETURN_IF_ERROR(Account(key.size()));
      transaction_->Delete(key);
      reply.mutable_delete_();
      return reply;
    }
    default:
      return absl::InvalidArgumentError("it has no operation, or a newer one");
  }
}

absl::StatusOr<v1::TransactReply> Transacting::Get(const std::string& key) {
  TERN_RETURN_IF_ERROR(CheckKey(key));
  TERN_ASSIGN_OR_RETURN(std::optional<std::string> value,
                        transaction_->Get(key));
  TERN_RETURN_IF_ERROR(
      Account(key.size() + (value.has_value() ? value->size() : 0)));
  v1::TransactReply reply;
  v1::TransactGetReply& got = *reply.mutable_get();
  got.set_found(value.has_value());
  if (value.has_value()) got.set_value(*std::move(value));
  return reply;
}

absl::Status Transacting::Account(size_t bytes) {
  bytes_ += bytes;
  if (bytes_ <= kMaxTransactionBytes) return absl::OkStatus();
  return TooLarge("a transaction", bytes_, "bytes", kMaxTransactionBytes);
}

}  // namespace

absl::Status Transact(
    Store& store, absl::Duration max_time, tern::ServerContext& context,
    tern::ServerStream<v1::TransactRequest, v1::TransactReply>& stream) {
  return Transacting(store, max_time, context, stream).Run();
}

}  // namespace kv
