// Looks somebody up with one service and greets her with the other.
// Usage: client HOST:PORT NICKNAME

#include <iostream>

#include "greet/v1/greeter.tern.client.h"
#include "people/people.tern.client.h"
#include "tern/client/channel.h"
#include "tern/lib/compress/zstd_compressor.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto channel =
      tern::Channel::Create(argv[1], {.compressors = {tern::ZstdCompressor()},
                                      .compression = tern::Compression::kZstd});

  people::Directory::Stub directory(*channel);
  people::Query query;
  query.set_nickname(argv[2]);
  absl::StatusOr<people::Person> person = directory.Find(query);
  if (!person.ok()) {
    std::cerr << person.status() << "\n";
    return 1;
  }

  greet::v1::Greeter::Stub greeter(*channel);
  greet::v1::HelloRequest request;
  *request.mutable_person() = *person;
  request.mutable_sent_at()->set_seconds(1234567890);
  absl::StatusOr<greet::v1::HelloReply> reply = greeter.SayHello(request);
  if (!reply.ok()) {
    std::cerr << reply.status() << "\n";
    return 1;
  }
  std::cout << reply->text() << " " << reply->sent_at().seconds() << "\n";
}
