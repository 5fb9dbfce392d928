// A terminal in a room. See kUsage.

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "examples/chat/chat.tern.client.h"
#include "examples/chat/limits.h"
#include "tern/lib/base/log.h"
#include "tern/lib/call/deadline.h"

namespace {

constexpr std::string_view kUsage = R"(Usage: chat [--server=ADDRESS] NAME ROOM

Enters a room: each line that you type is said there, and what the others say is
printed as NAME: TEXT. Ctrl-D or Ctrl-C leaves it.

  --server=ADDRESS  HOST:PORT or unix:/PATH of a chat-server. Default:
                    127.0.0.1:7118
  --help            print this

NAME has 1 to 32 bytes, and is nobody else's in the room; ROOM has 1 to 64; a line
has at most 4,096. Who does not read for long is dropped. Exit code: 0 when you
have left, 1 when the chat has ended otherwise (stderr says why), 2 when the
command line is wrong.
)";
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

// For the server to take a line, and to say goodbye.
constexpr absl::Duration kPatience = absl::Seconds(10);

// Told when there is something else to do than to read lines.
int wake_fd = -1;

void Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd, &one, sizeof(one));
}

volatile sig_atomic_t interrupted = 0;
void OnInterrupt(int) {
  interrupted = 1;
  const int error = errno;
  Wake();
  errno = error;
}

struct Flags {
  std::string server = "127.0.0.1:7118";
  std::string name;
  std::string room;
};

[[noreturn]] void ExitWithUsageError(std::string_view message) {
  std::cerr << "chat: " << message << "\nTry: chat --help\n";
  std::exit(kWrongUsage);
}

Flags ParseFlags(int argc, char** argv) {
  static constexpr option kOptions[] = {
      {"server", required_argument, nullptr, 's'},
      {"help", no_argument, nullptr, 'h'},
      {},
  };
  Flags flags;
  while (true) {
    switch (getopt_long(argc, argv, "h", kOptions, nullptr)) {
      case 's':
        flags.server = optarg;
        break;
      case 'h':
        std::cout << kUsage;
        std::exit(0);
      case -1:
        if (argc - optind != 2) ExitWithUsageError("NAME and ROOM, no more");
        flags.name = argv[optind];
        flags.room = argv[optind + 1];
        return flags;
      default:
        ExitWithUsageError("the command line is wrong");  // getopt said why.
    }
  }
}

// What others wrote, without what could make a terminal do something.
std::string Printable(const std::string& text) {
  return absl::StrReplaceAll(tern::EscapeForLog(text, 4 * chat::kMaxTextBytes),
                             {{"\\\\", "\\"}});
}

void Print(const chat::v1::TalkReply& reply) {
  switch (reply.kind_case()) {
    case chat::v1::TalkReply::kEntered:
      std::cout << "* here are: "
                << absl::StrJoin(reply.entered().names(), ", ",
                                 [](std::string* out, const std::string& name) {
                                   *out += Printable(name);
                                 });
      break;
    case chat::v1::TalkReply::kJoined:
      std::cout << "* " << Printable(reply.joined().name()) << " has joined";
      break;
    case chat::v1::TalkReply::kLeft:
      std::cout << "* " << Printable(reply.left().name())
                << (reply.left().dropped() ? " was dropped: too slow"
                                           : " has left");
      break;
    case chat::v1::TalkReply::kSaid:
      std::cout << Printable(reply.said().name()) << ": "
                << Printable(reply.said().text());
      break;
    case chat::v1::TalkReply::KIND_NOT_SET:
      return;  // Newer than this program.
  }
  std::cout << std::endl;
}

// Cuts what is typed into lines, in bounded memory.
class Lines {
 public:
  // False: there is no more.
  bool ReadSome() {
    char bytes[4096];
    const ssize_t count = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (count < 0 && errno == EINTR) return true;
    if (count > 0) pending_.append(bytes, static_cast<size_t>(count));
    ended_ = count <= 0;
    return !ended_;
  }
  // False: no whole line is there. Lines that are too long are reported.
  bool Next(std::string* line) {
    while (true) {
      size_t end = pending_.find('\n');
      if (end == pending_.npos) {
        if (pending_.size() > chat::kMaxTextBytes) {
          too_long_ = true;
          pending_.clear();
        }
        if (!ended_ || (pending_.empty() && !too_long_)) return false;
        end = pending_.size();
      }
      *line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      if (too_long_ || line->size() > chat::kMaxTextBytes) {
        std::cerr << "chat: a line has at most " << chat::kMaxTextBytes
                  << " bytes; not said" << std::endl;
        too_long_ = false;
      } else if (!line->empty()) {
        return true;
      }
    }
  }

 private:
  std::string pending_;
  bool too_long_ = false;  // The line whose end is awaited.
  bool ended_ = false;
};

class Chat {
 public:
  explicit Chat(const Flags& flags)
      : channel_(tern::Channel::Create(flags.server)),
        stream_(chat::v1::Chat::Stub(*channel_).Talk()) {
    chat::v1::TalkRequest request;
    request.mutable_enter()->set_name(flags.name);
    request.mutable_enter()->set_room(flags.room);
    (void)stream_.Write(request);  // If not, the printer is told.
  }

  // Talks and listens; returns how it ended.
  absl::Status Run() {
    std::thread printer([this] {
      for (chat::v1::TalkReply reply; stream_.Read(&reply);) Print(reply);
      over_ = true;
      Wake();
    });
    if (Talk()) {
      stream_.EndWrites();
      AwaitOver();
    }
    printer.join();
    return stream_.Finish();
  }

 private:
  // True when this end has had enough.
  bool Talk() {
    Lines lines;
    while (true) {
      pollfd wanted[] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                         {.fd = wake_fd, .events = POLLIN, .revents = 0}};
      if (poll(wanted, 2, -1) < 0 && errno != EINTR) return true;
      if (interrupted) return true;
      if (over_) return false;
      if (wanted[0].revents == 0) continue;
      const bool more = lines.ReadSome();
      for (std::string line; lines.Next(&line);) {
        if (!Say(line)) return !over_;
      }
      if (!more) return true;
    }
  }

  bool Say(const std::string& line) {
    chat::v1::TalkRequest request;
    request.mutable_say()->set_text(line);
    return stream_.WriteUntil(request, tern::Deadline::After(kPatience)) ==
           tern::Poll::kReady;
  }

  // The server is to notice that there is no more.
  void AwaitOver() {
    const auto deadline = tern::Deadline::After(kPatience);
    while (!over_ && !deadline.HasPassed()) {
      pollfd wanted = {.fd = wake_fd, .events = POLLIN, .revents = 0};
      if (poll(&wanted, 1, 100) > 0) {
        uint64_t count = 0;
        [[maybe_unused]] const ssize_t got =
            read(wake_fd, &count, sizeof(count));
      }
    }
    if (!over_) stream_.Cancel();
  }

  const std::unique_ptr<tern::Channel> channel_;
  tern::ClientStream<chat::v1::TalkRequest, chat::v1::TalkReply> stream_;
  std::atomic<bool> over_{false};  // Nothing more comes from the server.
};

}  // namespace

int main(int argc, char** argv) {
  const Flags flags = ParseFlags(argc, argv);
  wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) {
    std::cerr << "chat: eventfd: " << strerror(errno) << "\n";
    return kFailed;
  }
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = SA_RESTART | SA_RESETHAND;  // The second one kills.
  for (const int stop : {SIGINT, SIGTERM}) sigaction(stop, &action, nullptr);

  const absl::Status status = Chat(flags).Run();
  if (status.ok()) return 0;
  std::cerr << "chat: " << absl::StatusCodeToString(status.code()) << ": "
            << status.message() << "\n";
  return kFailed;
}
