#ifndef TERN_SERVER_ABORTED_CALLS_H_
#define TERN_SERVER_ABORTED_CALLS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace tern {

// The calls that a server has cut short: their number, and what a log says of
// the oldest ones. A value type.
class AbortedCalls {
 public:
  static constexpr size_t kMaxListed = 20;

  void Add(std::string_view method, std::string_view peer, absl::Duration age);
  void Add(AbortedCalls more);
  size_t count() const { return count_; }

  // For a log, a line each: the oldest first, and how many are left out.
  //   "kv.v1.KeyValue/Watch for 10.0.0.9:51234, 12.3s old"
  //   "and 7 more"
  std::vector<std::string> Lines() const;

 private:
  struct Call {
    std::string method;
    std::string peer;
    absl::Duration age;
  };

  size_t count_ = 0;
  std::vector<Call> oldest_;  // A heap, the youngest of them first.
};

}  // namespace tern

#endif  // TERN_SERVER_ABORTED_CALLS_H_
