#ifndef TERN_TESTS_EXAMPLES_KV_FOLDER_H_
#define TERN_TESTS_EXAMPLES_KV_FOLDER_H_

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace kv {

// A new, empty folder for one test, removed with it.
class TestFolder {
 public:
  TestFolder() {
    static std::atomic<int> next{0};
    path_ = testing::TempDir() + "/folder-" + std::to_string(++next);
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }
  bool IsEmpty() const { return std::filesystem::is_empty(path_); }

 private:
  std::string path_;
};

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void WriteFile(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace kv

#endif  // TERN_TESTS_EXAMPLES_KV_FOLDER_H_
