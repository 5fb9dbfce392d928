#include <iostream>

#include "google/protobuf/compiler/plugin.h"
#include "tern/lib/codegen/generator.h"

int main(int argc, char* argv[]) {
  // protoc passes on what its plugins write to the standard error.
  tern::codegen::Generator generator(std::cerr);
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
