#include "examples/kv/demo_input.h"

#include <errno.h>
#include <string.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "examples/kv/entry_text.h"
#include "examples/kv/limits.h"
#include "examples/kv/line_reader.h"
#include "tern/lib/base/status_macros.h"

namespace kv {
namespace {

// Of two lines with one key the later one counts.
absl::Status ReadEntries(std::FILE* file, const std::string& name,
                         DemoInput* input) {
  LineReader reader(file, 4 * (kMaxKeyBytes + kMaxValueBytes));
  std::string line;
  while (true) {
    const LineReader::Result result = reader.Next(&line);
    if (result == LineReader::Result::kEnd) return absl::OkStatus();
    const std::string place = absl::StrCat(name, ":", reader.line_number());
    if (result != LineReader::Result::kLine) {
      return absl::InvalidArgumentError(absl::StrCat(
          place, ": ",
          result == LineReader::Result::kTooLong ? "the line is too long"
                                                 : strerror(errno)));
    }
    auto entry = ParseEntry(line);
    if (!entry.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": ", entry.status().message()));
    }
    input->entries[entry->key] = entry->value;
  }
}

absl::StatusOr<DemoInput> ReadFile(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "r");
  if (file == nullptr) {
    return absl::NotFoundError(absl::StrCat(path, ": ", strerror(errno)));
  }
  DemoInput input = {.source = "entries of " + path, .entries = {}};
  const absl::Status status = ReadEntries(file, path, &input);
  std::fclose(file);
  TERN_RETURN_IF_ERROR(status);
  return input;
}

DemoInput ReadPackages() {
  DemoInput input = {.source = "packages of this machine (dpkg-query -W)",
                     .entries = {}};
  std::FILE* const packages = popen("dpkg-query -W 2>/dev/null", "r");
  if (packages == nullptr) return input;
  if (!ReadEntries(packages, "dpkg-query", &input).ok()) input.entries.clear();
  pclose(packages);
  return input;
}

DemoInput ListPrograms() {
  DemoInput input = {.source = "programs of this machine (/usr/bin)",
                     .entries = {}};
  std::error_code error;
  for (const auto& file :
       std::filesystem::directory_iterator("/usr/bin", error)) {
    const auto size = file.file_size(error);
    if (!error) {
      input.entries[file.path().filename()] = absl::StrCat(size, " bytes");
    }
  }
  return input;
}

}  // namespace

absl::StatusOr<DemoInput> ReadDemoInput(const std::string& path) {
  DemoInput input;
  if (path.empty()) {
    input = ReadPackages();
    if (input.entries.empty()) input = ListPrograms();
  } else {
    TERN_ASSIGN_OR_RETURN(input, ReadFile(path));
  }
  if (input.entries.empty()) {
    return absl::NotFoundError(absl::StrCat("there are no ", input.source));
  }
  return input;
}

}  // namespace kv
