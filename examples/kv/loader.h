#ifndef TERN_EXAMPLES_KV_LOADER_H_
#define TERN_EXAMPLES_KV_LOADER_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "examples/kv/kv.tern.client.h"

namespace kv {

struct LoadOptions {
  std::string input_name;                      // For messages.
  absl::Duration timeout = absl::Seconds(10);  // Of each call.
  int max_calls_in_flight = 8;
  // A batch is sent when it has as many entries, or bytes of keys and values;
  // at most the limits of BatchPut.
  size_t batch_entries = 256;
  size_t batch_bytes = 256 << 10;
  size_t max_reported_lines = 20;  // Malformed ones; more are only counted.

  // Both called on the thread that loads: what went wrong, one line each, and
  // how far it is, after each batch.
  std::function<void(std::string_view)> report = [](std::string_view) {};
  std::function<void(uint64_t entries, uint64_t bytes_read)> progress =
      [](uint64_t, uint64_t) {};
};

struct LoadResult {
  uint64_t entries = 0;          // Acknowledged by the server.
  uint64_t batches = 0;          // Likewise.
  uint64_t malformed_lines = 0;  // Reported and left out.
  uint64_t failed_batches = 0;   // Reported; loading stopped at the first.
  bool read_failed = false;      // Reported.

  bool ok() const {
    return malformed_lines == 0 && failed_batches == 0 && !read_failed;
  }
};

// Puts the entries that `input` holds (entry_text.h, one on each line) into a
// store, in batches, several of them in flight. Of two lines with the same key
// the later one counts, as if they had been put one by one.
//
// Every line ends up in one of three ways: acknowledged, reported as malformed,
// or within a range of lines that is reported as not (surely) stored.
LoadResult Load(std::FILE* input, v1::KeyValue::StubInterface& store,
                const LoadOptions& options);

}  // namespace kv

#endif  // TERN_EXAMPLES_KV_LOADER_H_
