#include "tests/golden/vector_file.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

namespace tern::testing {
namespace {

constexpr const char* kFiles[] = {"preface", "hello",   "frame", "call",
                                  "stream",  "message", "flow",  "status",
                                  "ping",    "goaway",  "abuse"};

class Reader {
 public:
  explicit Reader(std::string file)
      : file_(std::move(file)), path_("tests/golden/" + file_ + ".txt") {}

  void ReadInto(std::vector<GoldenVector>* vectors) {
    std::ifstream in(path_);
    if (!in) Fail("cannot be opened (bazel runs tests in the right folder)");
    std::string line;
    while (std::getline(in, line)) {
      ++number_;
      if (line.empty() || line.front() == '#') continue;
      const size_t space = line.find(' ');
      const std::string verb = line.substr(0, space);
      const size_t rest = space == std::string::npos
                              ? space
                              : line.find_first_not_of(' ', space);
      Take(verb, rest == std::string::npos ? "" : line.substr(rest), vectors);
    }
    if (inside_) Fail("ends inside a vector");
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    std::cerr << path_ << ":" << number_ << ": " << what << "\n";
    std::abort();
  }

  void Take(const std::string& verb, const std::string& text,
            std::vector<GoldenVector>* vectors) {
    if (verb == "let") {
      const size_t equals = text.find(" = ");
      if (equals == std::string::npos) Fail("let NAME = BYTES");
      names_[text.substr(0, equals)] = Bytes(text.substr(equals + 3));
      return;
    }
    if (verb == "vector") {
      if (inside_) Fail("the vector before this one has no end");
      if (!seen_.insert(text).second) Fail("a second vector of that name");
      inside_ = true;
      vectors->push_back({.file = file_, .name = text});
      return;
    }
    if (!inside_) Fail("outside of a vector");
    GoldenVector& vector = vectors->back();
    if (verb == "about") {
      vector.about = text;
    } else if (verb == "side") {
      vector.is_client = text == "client";
    } else if (verb == "host") {
      vector.hold = text == "hold";
    } else if (verb == "greeting") {
      vector.greeting = false;
    } else if (verb == "limit") {
      const size_t space = text.find(' ');
      vector.limits.emplace_back(text.substr(0, space),
                                 std::stoull(text.substr(space + 1)));
    } else if (verb == "end") {
      vector.end = text;
      inside_ = false;
    } else {
      GoldenVector::Line line = {.verb = verb, .text = text, .number = number_};
      if (verb == "in" || (verb == "out" && IsBytes(text))) {
        line.bytes = Bytes(text);
      } else if (verb != "out" && verb != "do" && verb != "wait" &&
                 verb != "ack" && verb != "event" && verb != "credit") {
        Fail("unknown directive " + verb);
      }
      vector.lines.push_back(std::move(line));
    }
  }

  // As opposed to "status 1 OK", "ping".
  static bool IsBytes(const std::string& text) {
    return text.rfind("status", 0) != 0 && text.rfind("cancel", 0) != 0 &&
           text.rfind("goaway", 0) != 0 && text.rfind("ping", 0) != 0;
  }

  std::string Bytes(const std::string& text) const {
    std::istringstream tokens(text);
    std::string token, bytes;
    while (tokens >> token) {
      if (token.front() == '$') {
        const auto found = names_.find(token.substr(1));
        if (found == names_.end()) Fail("nobody has let " + token);
        bytes += found->second;
        continue;
      }
      const size_t star = token.find('*');
      const std::string digits = token.substr(0, star);
      if (digits.size() % 2 != 0 ||
          digits.find_first_not_of("0123456789abcdef") != std::string::npos) {
        Fail("not bytes: " + token);
      }
      const std::string once = absl::HexStringToBytes(digits);
      const unsigned long times =
          star == std::string::npos ? 1 : std::stoul(token.substr(star + 1));
      for (unsigned long i = 0; i < times; ++i) bytes += once;
    }
    return bytes;
  }

  const std::string file_;
  const std::string path_;
  int number_ = 0;
  bool inside_ = false;
  std::map<std::string, std::string> names_;
  std::set<std::string> seen_;
};

}  // namespace

std::vector<GoldenVector> ReadGoldenVectors() {
  std::vector<GoldenVector> vectors;
  for (const char* file : kFiles) Reader(file).ReadInto(&vectors);
  return vectors;
}

}  // namespace tern::testing
