#include "tests/lib/codegen/plugin_run.h"

#include <fstream>

#include "google/protobuf/compiler/code_generator.h"
#include "google/protobuf/compiler/importer.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor_database.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/empty.pb.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/protobuf/wrappers.pb.h"
#include "gtest/gtest.h"
#include "tern/lib/codegen/generator.h"

namespace tern::codegen {
namespace {

// What protoc itself has to say of a file.
class Complaints final
    : public google::protobuf::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string& filename, const std::string& element_name,
                const google::protobuf::Message* /*descriptor*/,
                ErrorLocation /*location*/,
                const std::string& message) override {
    text += filename + ": " + element_name + ": " + message + "\n";
  }

  std::string text;
};

class FilesInMemory : public google::protobuf::compiler::GeneratorContext {
 public:
  google::protobuf::io::ZeroCopyOutputStream* Open(
      const std::string& path) override {
    return new google::protobuf::io::StringOutputStream(&files[path]);
  }

  std::map<std::string, std::string> files;
};

// Linked in, so that the generated pool has their files.
void LinkWellKnownTypes() {
  google::protobuf::Duration::descriptor();
  google::protobuf::Empty::descriptor();
  google::protobuf::StringValue::descriptor();
  google::protobuf::Timestamp::descriptor();
}

}  // namespace

PluginRun RunPluginOnFile(const std::string& path, const std::string& options) {
  LinkWellKnownTypes();
  google::protobuf::DescriptorPoolDatabase well_known(
      *google::protobuf::DescriptorPool::generated_pool());
  google::protobuf::compiler::DiskSourceTree tree;
  tree.MapPath("", ".");
  tree.MapPath("", ::testing::TempDir());
  google::protobuf::compiler::SourceTreeDescriptorDatabase database(
      &tree, &well_known);
  Complaints complaints;
  google::protobuf::DescriptorPool pool(&database, &complaints);
  const google::protobuf::FileDescriptor* file = pool.FindFileByName(path);
  if (file == nullptr) {
    return {.error = "cannot read " + path + "\n" + complaints.text};
  }

  PluginRun run;
  FilesInMemory context;
  bool ok = Generator().Generate(file, options, &context, &run.error);
  EXPECT_EQ(ok, run.error.empty()) << run.error;
  run.files = context.files;
  return run;
}

PluginRun RunPluginOnText(const std::string& text, const std::string& options) {
  std::ofstream(::testing::TempDir() + "/test.proto") << text;
  return RunPluginOnFile("test.proto", options);
}

}  // namespace tern::codegen
