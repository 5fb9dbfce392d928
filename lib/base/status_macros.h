#ifndef TERN_LIB_BASE_STATUS_MACROS_H_
#define TERN_LIB_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the current function when `expression` is not OK.
#define TERN_RETURN_IF_ERROR(expression)         \
  do {                                           \
    absl::Status tern_status_ = (expression);    \
    if (!tern_status_.ok()) return tern_status_; \
  } while (false)

// TERN_ASSIGN_OR_RETURN(auto value, Function()): the value of a StatusOr, or
// its status returned.
#define TERN_ASSIGN_OR_RETURN(lhs, expression)                               \
  TERN_ASSIGN_OR_RETURN_(TERN_STATUS_CONCAT_(tern_statusor_, __LINE__), lhs, \
                         expression)
#define TERN_ASSIGN_OR_RETURN_(statusor, lhs, expression)  \
  auto statusor = (expression);                            \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()
#define TERN_STATUS_CONCAT_(a, b) TERN_STATUS_CONCAT_INNER_(a, b)
#define TERN_STATUS_CONCAT_INNER_(a, b) a##b

#endif  // TERN_LIB_BASE_STATUS_MACROS_H_
