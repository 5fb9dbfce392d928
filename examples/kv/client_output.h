#ifndef TERN_EXAMPLES_KV_CLIENT_OUTPUT_H_
#define TERN_EXAMPLES_KV_CLIENT_OUTPUT_H_

#include "absl/status/status.h"

namespace kv {

// The client program's.
enum ExitCode {
  kOk = 0,
  kFailed = 1,
  kWrongUsage = 2,
  kNoSuchKey = 3,
  kConflict = 4,
};

// Prints all that a failed call's status tells. Returns kFailed.
ExitCode FailCall(const absl::Status& status);

// What was printed may still be on its way to a full disk: kFailed, said so.
ExitCode FinishOutput();

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_CLIENT_OUTPUT_H_
