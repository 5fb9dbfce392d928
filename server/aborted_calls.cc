#include "tern/server/aborted_calls.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

constexpr auto kIsOlder = [](const auto& a, const auto& b) {
  return a.age > b.age;
};

}  // namespace

void AbortedCalls::Add(std::string_view method, std::string_view peer,
                       absl::Duration age) {
  ++count_;
  if (oldest_.size() == kMaxListed) {
    if (age <= oldest_.front().age) return;
    std::pop_heap(oldest_.begin(), oldest_.end(), kIsOlder);
    oldest_.pop_back();
  }
  oldest_.push_back(
      {.method = std::string(method), .peer = std::string(peer), .age = age});
  std::push_heap(oldest_.begin(), oldest_.end(), kIsOlder);
}

void AbortedCalls::Add(AbortedCalls more) {
  for (const Call& call : more.oldest_) Add(call.method, call.peer, call.age);
  count_ += more.count_ - more.oldest_.size();
}

std::vector<std::string> AbortedCalls::Lines() const {
  std::vector<Call> calls = oldest_;
  std::sort_heap(calls.begin(), calls.end(), kIsOlder);
  std::vector<std::string> lines;
  for (const Call& call : calls) {
    lines.push_back(absl::StrCat(
        call.method, " for ", call.peer, ", ",
        absl::FormatDuration(absl::Trunc(call.age, absl::Milliseconds(1))),
        " old"));
  }
  if (count_ > calls.size()) {
    lines.push_back(absl::StrCat("and ", count_ - calls.size(), " more"));
  }
  return lines;
}

}  // namespace tern
