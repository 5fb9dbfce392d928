#ifndef TERN_LIB_CALL_METADATA_H_
#define TERN_LIB_CALL_METADATA_H_

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tern/lib/base/await_safe.h"

namespace tern {

// Key-value pairs that travel beside a call's messages, in order; a key may
// occur more than once.
//
// Keys are 1 to 64 characters of [a-z0-9_.-]; a key that starts with "tern-" is
// reserved. Values are UTF-8 without control characters, or any bytes when the
// key ends in "-bin". At most 64 entries and 16 KiB in all by default. What
// breaks a rule fails the call that carries it (INVALID_ARGUMENT or
// RESOURCE_EXHAUSTED, NOT_STARTED), before anything is sent.
//
// A value type, not thread-safe.
class Metadata {
 public:
  using Entry = std::pair<std::string, std::string>;

  Metadata() = default;
  Metadata(std::initializer_list<Entry> entries)
      : entries_(std::vector<Entry>(entries)) {}

  void Add(std::string_view key, std::string_view value) {
    entries_->emplace_back(std::string(key), std::string(value));
  }
  // In place of all values of `key`: Remove(), then Add().
  void Set(std::string_view key, std::string_view value) {
    Remove(key);
    Add(key, value);
  }
  void Remove(std::string_view key) {
    std::erase_if(*entries_,
                  [key](const Entry& entry) { return entry.first == key; });
  }
  // The first value of `key`; a view into this object.
  std::optional<std::string_view> Get(std::string_view key) const {
    for (const Entry& entry : *entries_) {
      if (entry.first == key) return entry.second;
    }
    return std::nullopt;
  }

  const std::vector<Entry>& entries() const { return *entries_; }
  bool empty() const { return entries_->empty(); }
  void clear() { entries_->clear(); }

 private:
  AwaitSafe<std::vector<Entry>> entries_;
};

}  // namespace tern

#endif  // TERN_LIB_CALL_METADATA_H_
