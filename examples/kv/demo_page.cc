#include "examples/kv/demo_page.h"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "examples/kv/progress.h"
#include "tern/lib/call/call_error.h"

namespace kv {
namespace {

constexpr std::string_view kBold = "1";
constexpr std::string_view kDim = "2";
constexpr std::string_view kRed = "31";
constexpr std::string_view kGreen = "32";

std::string Env(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string Explain(tern::Certainty certainty) {
  const std::string name(tern::ToString(certainty));
  switch (certainty) {
    case tern::Certainty::kNotStarted:
      return name + ": safe to try again, here or elsewhere";
    case tern::Certainty::kMaybeStarted:
      return name + ": try again only what may run twice";
    case tern::Certainty::kFinished:
      return name + ": this is the handler's own answer";
  }
  return name;
}

}  // namespace

std::string FormatLatency(absl::Duration duration) {
  double number = absl::ToDoubleMicroseconds(duration);
  std::string_view unit = "us";
  if (number >= 999.5) {
    number /= 1000;
    unit = "ms";
  }
  if (number >= 999.5) {
    number /= 1000;
    unit = "s";
  }
  const int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
  return absl::StrFormat("%.*f %s", decimals, number, unit);
}

namespace {

// Units of one letter leave room for a second one: numbers are aligned.
std::string Aligned(absl::Duration duration) {
  std::string text = FormatLatency(duration);
  if (text.ends_with(" s")) text += " ";
  return text;
}

}  // namespace

DemoPage::DemoPage()
    : styled_(isatty(STDOUT_FILENO) == 1 && Env("NO_COLOR").empty() &&
              Env("TERM") != "dumb") {}

std::string DemoPage::Styled(std::string_view style,
                             std::string_view text) const {
  if (!styled_) return std::string(text);
  return absl::StrFormat("\x1b[%sm%s\x1b[0m", style, text);
}

void DemoPage::Title(std::string_view text) {
  std::cout << Styled(kBold, text) << "\n\n";
}

void DemoPage::Heading(std::string_view text) {
  std::cout << "\n" << Styled(kBold, text) << std::endl;
}

void DemoPage::CallsHeading(std::string_view text) {
  std::cout << "\n"
            << Styled(kBold, absl::StrFormat("%-34s", text))
            << Styled(kDim, absl::StrFormat("%8s%11s%11s%10s", "calls",
                                            "p50   ", "p99   ", "calls/s"))
            << std::endl;
}

void DemoPage::Fact(std::string_view name, std::string_view text) {
  std::cout << absl::StrFormat("  %-8s  %s", name, text) << std::endl;
}

void DemoPage::Calls(std::string_view what, Latencies& latencies,
                     absl::Duration all) {
  const double per_second =
      static_cast<double>(latencies.size()) / absl::ToDoubleSeconds(all);
  std::cout << absl::StrFormat("  %-32s%8s%11s%11s%10s", what,
                               WithCommas(latencies.size()),
                               Aligned(latencies.Percentile(50)),
                               Aligned(latencies.Percentile(99)),
                               WithCommas(static_cast<uint64_t>(per_second)))
            << std::endl;
}

void DemoPage::Entry(std::string_view key, std::string_view value) {
  std::cout << absl::StrFormat("  %-32s  %s\n", key, value);
}

void DemoPage::Check(std::string_view text) {
  std::cout << "  " << Styled(kGreen, "ok") << "  " << text << std::endl;
}

void DemoPage::Error(const absl::Status& status) {
  std::cout << "  "
            << Styled(kRed,
                      absl::StrCat(absl::StatusCodeToString(status.code()),
                                   ": ", status.message()))
            << "\n";
  const auto error = tern::CallError::From(status);
  if (!error.has_value()) return;
  const auto part = [](std::string_view name, std::string_view text) {
    std::cout << absl::StrFormat("    %-8s  %s\n", name, text);
  };
  part("ran", Explain(error->certainty));
  part("phase", tern::ToString(error->phase));
  part("method", error->method);
  part("to", error->peer);
  if (!error->local.empty()) part("from", error->local);
  part("after", FormatLatency(error->elapsed));
  if (error->retry_after) part("retry", FormatLatency(*error->retry_after));
  std::cout << std::flush;
}

void DemoPage::Note(std::string_view text) {
  std::cout << "  " << Styled(kDim, text) << std::endl;
}

void DemoPage::Failure(std::string_view text) {
  std::cout << std::flush;
  std::cerr << "\ndemo: " << text << std::endl;
}

}  // namespace kv
