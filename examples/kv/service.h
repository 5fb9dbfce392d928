#ifndef TERN_EXAMPLES_KV_SERVICE_H_
#define TERN_EXAMPLES_KV_SERVICE_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "examples/kv/kv.tern.server.h"
#include "examples/kv/limits.h"
#include "examples/kv/store.h"

namespace kv {

// Answers kv.proto's calls from a store: checks what the proto promises, and
// puts its errors into words. Thread-safe; `store` outlives it.
class KeyValueService final : public v1::KeyValue::Service {
 public:
  explicit KeyValueService(
      Store* store, absl::Duration max_transaction_time = kMaxTransactionTime)
      : store_(*store), max_transaction_time_(max_transaction_time) {}

  absl::Status Get(tern::ServerContext& context, const v1::GetRequest& request,
                   v1::GetReply* reply) override;
  absl::Status Put(tern::ServerContext& context, const v1::PutRequest& request,
                   v1::PutReply* reply) override;
  absl::Status Delete(tern::ServerContext& context,
                      const v1::DeleteRequest& request,
                      v1::DeleteReply* reply) override;
  absl::Status Scan(tern::ServerContext& context,
                    const v1::ScanRequest& request,
                    v1::ScanReply* reply) override;
  absl::Status BatchPut(tern::ServerContext& context,
                        const v1::BatchPutRequest& request,
                        v1::BatchPutReply* reply) override;
  absl::Status Load(tern::ServerContext& context,
                    tern::ServerReader<v1::LoadRequest>& reader,
                    v1::LoadReply* reply) override;
  absl::Status Transact(tern::ServerContext& context,
                        tern::ServerStream<v1::TransactRequest,
                                           v1::TransactReply>& stream) override;
  absl::Status Watch(tern::ServerContext& context,
                     const v1::WatchRequest& request,
                     tern::ServerWriter<v1::WatchReply>& writer) override;

 private:
  Store& store_;
  const absl::Duration max_transaction_time_;
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_SERVICE_H_
