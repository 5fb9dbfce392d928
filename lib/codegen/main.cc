#include "google/protobuf/compiler/plugin.h"
#include "tern/lib/codegen/generator.h"

int main(int argc, char* argv[]) {
  const tern::codegen::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
