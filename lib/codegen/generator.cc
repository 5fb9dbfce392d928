#include "tern/lib/codegen/generator.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "tern/lib/codegen/client_generator.h"
#include "tern/lib/codegen/mock_generator.h"
#include "tern/lib/codegen/model.h"
#include "tern/lib/codegen/server_generator.h"
#include "tern/lib/codegen/source_text.h"

namespace tern::codegen {
namespace {

using google::protobuf::compiler::GeneratorContext;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::ZeroCopyOutputStream;

struct Options {
  bool mocks = false;
};

absl::StatusOr<Options> ParseOptions(const std::string& parameter) {
  std::vector<std::pair<std::string, std::string>> pairs;
  google::protobuf::compiler::ParseGeneratorParameter(parameter, &pairs);
  Options options;
  for (const auto& [key, value] : pairs) {
    if (key != "mocks") {
      return absl::InvalidArgumentError("unknown option \"" + key +
                                        "\"; the one there is: mocks");
    }
    if (!value.empty()) {
      return absl::InvalidArgumentError("option mocks takes no value, got \"" +
                                        value + "\"");
    }
    options.mocks = true;
  }
  return options;
}

void Write(GeneratorContext* context, const std::string& path,
           const std::string& text) {
  std::unique_ptr<ZeroCopyOutputStream> output(context->Open(path));
  CodedOutputStream(output.get()).WriteString(text);
}

}  // namespace

bool Generator::Generate(const google::protobuf::FileDescriptor* descriptor,
                         const std::string& parameter,
                         GeneratorContext* context, std::string* error) const {
  absl::StatusOr<Options> options = ParseOptions(parameter);
  if (!options.ok()) {
    *error = std::string(options.status().message());
    return false;
  }
  absl::StatusOr<File> file = ReadFile(*descriptor);
  if (!file.ok()) {
    *error = std::string(file.status().message());
    return false;
  }
  Write(context, HeaderPath(*file, "client"), ClientHeader(*file));
  Write(context, SourcePath(*file, "client"), ClientSource(*file));
  Write(context, HeaderPath(*file, "server"), ServerHeader(*file));
  if (options->mocks) {
    Write(context, HeaderPath(*file, "mock"), MockHeader(*file));
  }
  return true;
}

uint64_t Generator::GetSupportedFeatures() const {
  return FEATURE_PROTO3_OPTIONAL;
}

}  // namespace tern::codegen
