#include "tern/lib/codegen/model.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.pb.h"
#include "tern/lib/codegen/comments.h"
#include "tern/lib/codegen/method_options.h"
#include "tern/lib/codegen/names.h"

namespace tern::codegen {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::SourceLocation;

template <typename Element>
std::vector<std::string> CommentOf(const Element& element) {
  SourceLocation location;
  if (!element.GetSourceLocation(&location)) return {};
  return CommentLines(location);
}

Method ReadMethod(const MethodDescriptor& method,
                  const std::set<std::string>& all_methods) {
  std::string name(method.name());
  return {
      .full_name = std::string(method.service()->full_name()) + "/" + name,
      .name = MethodName(name, all_methods),
      .constant = MethodConstant(name),
      .request = MessageClass(*method.input_type()),
      .reply = MessageClass(*method.output_type()),
      .client_streaming = method.client_streaming(),
      .server_streaming = method.server_streaming(),
      .is_deprecated = method.options().deprecated(),
      .comment = CommentOf(method),
      .settings = {},
  };
}

absl::Status ReadSettings(const FileDescriptor& file, File* result) {
  for (int i = 0; i < file.service_count(); ++i) {
    for (int j = 0; j < file.service(i)->method_count(); ++j) {
      auto settings = ReadMethodSettings(*file.service(i)->method(j));
      if (!settings.ok()) return settings.status();
      result->services[i].methods[j].settings = *std::move(settings);
    }
  }
  return absl::OkStatus();
}

Service ReadService(const ServiceDescriptor& service) {
  std::set<std::string> names;
  for (int i = 0; i < service.method_count(); ++i) {
    names.emplace(service.method(i)->name());
  }
  std::string scope = PackageNamespace(std::string(service.file()->package()));
  if (!scope.empty()) scope += "::";
  Service result = {
      .full_name = std::string(service.full_name()),
      .cpp_namespace = scope + EscapeKeyword(std::string(service.name())),
      .is_deprecated = service.options().deprecated(),
      .comment = CommentOf(service),
      .methods = {},
  };
  for (int i = 0; i < service.method_count(); ++i) {
    result.methods.push_back(ReadMethod(*service.method(i), names));
  }
  return result;
}

std::string PbHeader(const FileDescriptor& file) {
  return StripProtoSuffix(std::string(file.name())) + ".pb.h";
}

// The files that define what methods take and return, wherever they are
// imported from: a public import's types are included from their own file.
std::set<std::string> PbHeaders(const FileDescriptor& file) {
  std::set<std::string> headers = {PbHeader(file)};
  for (int i = 0; i < file.service_count(); ++i) {
    const ServiceDescriptor& service = *file.service(i);
    for (int j = 0; j < service.method_count(); ++j) {
      headers.insert(PbHeader(*service.method(j)->input_type()->file()));
      headers.insert(PbHeader(*service.method(j)->output_type()->file()));
    }
  }
  return headers;
}

// `things` are of type Service or Method; `cpp_name` is the member that must be
// unique.
template <typename Thing>
absl::Status CheckUnique(const std::string& path,
                         const std::vector<Thing>& things,
                         std::string Thing::*cpp_name) {
  std::map<std::string, std::string> full_names;  // By name in C++.
  for (const Thing& thing : things) {
    auto [it, is_new] = full_names.emplace(thing.*cpp_name, thing.full_name);
    if (is_new) continue;
    return absl::InvalidArgumentError(path + ": " + it->second + " and " +
                                      thing.full_name + " would both be " +
                                      it->first + " in C++: rename one");
  }
  return absl::OkStatus();
}

absl::Status Check(const File& file) {
  absl::Status status =
      CheckUnique(file.path, file.services, &Service::cpp_namespace);
  for (const Service& service : file.services) {
    status.Update(CheckUnique(file.path, service.methods, &Method::name));
  }
  return status;
}

}  // namespace

absl::StatusOr<File> ReadFile(const FileDescriptor& file) {
  File result;
  result.path = std::string(file.name());
  result.stem = StripProtoSuffix(result.path);
  result.pb_headers = PbHeaders(file);
  for (int i = 0; i < file.service_count(); ++i) {
    result.services.push_back(ReadService(*file.service(i)));
  }
  if (file.service_count() > 0 && file.options().cc_generic_services()) {
    return absl::InvalidArgumentError(
        result.path +
        ": option cc_generic_services makes protoc generate classes with the "
        "names of the services: remove it");
  }
  absl::Status status = Check(result);
  status.Update(ReadSettings(file, &result));
  if (!status.ok()) return status;
  return result;
}

}  // namespace tern::codegen
