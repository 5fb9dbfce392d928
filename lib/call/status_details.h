#ifndef TERN_LIB_CALL_STATUS_DETAILS_H_
#define TERN_LIB_CALL_STATUS_DETAILS_H_

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"

// Errors that say more than a code and a sentence: messages of any type, such
// as google.rpc.RetryInfo or one of your own, that travel with a status as
// google.protobuf.Any does.
//
//   return tern::WithDetails(absl::InvalidArgumentError("no such field"), bad);
//
//   if (auto bad = tern::GetDetail<BadRequest>(reply.status())) ...
namespace tern {
namespace call_internal {

void AddDetail(const google::protobuf::MessageLite& detail,
               absl::Status* status);
bool ReadDetail(const absl::Status& status,
                google::protobuf::MessageLite* detail);

}  // namespace call_internal

// `status` with the details, one of each type: a second takes the place of the
// first. An OK stays without. A call's status, details and all, has at most
// 24,576 bytes: beyond that the details are left out, the code and the message
// stay, and CallError::truncated is set at the caller.
template <typename... Details>
absl::Status WithDetails(absl::Status status, const Details&... details) {
  (call_internal::AddDetail(details, &status), ...);
  return status;
}

// nullopt when `status` has none of this type, or what it has cannot be parsed.
template <typename Detail>
std::optional<Detail> GetDetail(const absl::Status& status) {
  std::optional<Detail> detail(std::in_place);
  if (!call_internal::ReadDetail(status, &*detail)) detail.reset();
  return detail;
}

}  // namespace tern

#endif  // TERN_LIB_CALL_STATUS_DETAILS_H_
