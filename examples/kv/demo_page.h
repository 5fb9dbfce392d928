#ifndef TERN_EXAMPLES_KV_DEMO_PAGE_H_
#define TERN_EXAMPLES_KV_DEMO_PAGE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "examples/kv/latencies.h"

namespace kv {

// 12.3 us, 4.56 ms, 7.89 s: three digits.
std::string FormatLatency(absl::Duration duration);

// How the demo's output looks: short sections on stdout, in colour when it is a
// terminal and NO_COLOR is not set.
class DemoPage {
 public:
  DemoPage();

  void Title(std::string_view text);
  // Starts a section.
  void Heading(std::string_view text);
  // A section about calls: above Calls().
  void CallsHeading(std::string_view text);

  // A name and what there is to say about it.
  void Fact(std::string_view name, std::string_view text);
  // `what` the calls were and how long they took, one by one and in all.
  void Calls(std::string_view what, Latencies& latencies, absl::Duration all);
  // An entry, aligned with others.
  void Entry(std::string_view key, std::string_view value);
  // Something was checked and is right.
  void Check(std::string_view text);
  // Everything that a failed call's status tells, wanted or not.
  void Error(const absl::Status& status);
  void Note(std::string_view text);
  // The demo went wrong.
  void Failure(std::string_view text);

 private:
  std::string Styled(std::string_view style, std::string_view text) const;

  const bool styled_;
};

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_DEMO_PAGE_H_
