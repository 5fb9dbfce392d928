#ifndef TERN_TESTS_LIB_NET_SHORT_FOLDER_H_
#define TERN_TESTS_LIB_NET_SHORT_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace tern::net {

// A folder of its own for Unix sockets, removed with all that is in it. Not in
// testing::TempDir(), whose path under Bazel is longer than a Unix path can be.
class ShortFolder {
 public:
  ShortFolder() {
    char pattern[] = "/tmp/tern.XXXXXX";
    EXPECT_NE(mkdtemp(pattern), nullptr);
    path_ = pattern;
  }
  ~ShortFolder() { std::filesystem::remove_all(path_); }
  ShortFolder(const ShortFolder&) = delete;
  ShortFolder& operator=(const ShortFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tern::net

#endif  // TERN_TESTS_LIB_NET_SHORT_FOLDER_H_
