#include "examples/kv/client_output.h"

#include <errno.h>
#include <string.h>

#include <iostream>

#include "tern/lib/call/call_error.h"

namespace kv {

ExitCode FailCall(const absl::Status& status) {
  std::cerr << "client: " << absl::StatusCodeToString(status.code()) << ": "
            << status.message() << "\n";
  if (const auto error = tern::CallError::From(status)) {
    std::cerr << "client: the call: " << error->ToString() << "\n";
  }
  return kFailed;
}

ExitCode FinishOutput() {
  if (std::cout.flush()) return kOk;
  std::cerr << "client: write to stdout: " << strerror(errno) << "\n";
  return kFailed;
}

}  // namespace kv
