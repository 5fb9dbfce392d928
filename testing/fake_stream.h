#ifndef TERN_TESTING_FAKE_STREAM_H_
#define TERN_TESTING_FAKE_STREAM_H_

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "tern/lib/base/log.h"
#include "tern/lib/base/mutex.h"
#include "tern/lib/call/attachment.h"
#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/stream_pipe.h"
#include "tern/server/server_stream.h"

namespace tern::testing {

// What a streaming handler reads from and writes to, when a test calls it by
// itself:
//
//   FakeStream<ChatRequest, ChatReply> stream;
//   stream.AddRequest(request);
//   stream.EndRequests();
//   EXPECT_TRUE(service.Chat(context, stream.stream()).ok());
//   EXPECT_EQ(stream.TakeReplies().size(), 1);
//
// Writing never waits here. Thread-safe: a test may add requests while the
// handler runs on another thread, and wait for its replies.
template <typename Request, typename Reply>
class FakeStream final : private StreamPipe::Host {
 public:
  FakeStream()
      : pipe_(this, std::numeric_limits<int32_t>::max(),
              std::numeric_limits<int32_t>::max()),
        messages_(&pipe_, MessageStream::End::kServer),
        reader_(&messages_),
        writer_(&messages_),
        stream_(&messages_) {}
  FakeStream(const FakeStream&) = delete;
  FakeStream& operator=(const FakeStream&) = delete;

  // For the handler: whichever its method takes.
  ServerReader<Request>& reader() { return reader_; }
  ServerWriter<Reply>& writer() { return writer_; }
  ServerStream<Request, Reply>& stream() { return stream_; }

  // What it reads.
  void AddRequest(const Request& request, const absl::Cord& attachment = {}) {
    std::string bytes = request.SerializeAsString();
    const size_t size = bytes.size();
    bytes.resize(size + attachment.size());
    CopyAttachment(attachment, bytes.data() + size);
    const auto delivery =
        pipe_.Deliver(bytes, nullptr, static_cast<uint32_t>(attachment.size()));
    TERN_CHECK(delivery != StreamPipe::Delivery::kFull);
    if (delivery == StreamPipe::Delivery::kWake) pipe_.RunWakes();
  }
  void EndRequests() {
    if (pipe_.EndReads()) pipe_.RunWakes();
  }
  // As if the client had cancelled: its reads and writes are over.
  void Cancel() {
    if (pipe_.Close(/*at_once=*/true)) pipe_.RunWakes();
  }

  // What it has written and was not taken yet.
  std::vector<Reply> TakeReplies() {
    MutexLock lock(mutex_);
    return std::exchange(replies_, {});
  }
  // What it has written beside each of its replies, likewise.
  std::vector<absl::Cord> TakeAttachments() {
    MutexLock lock(mutex_);
    return std::exchange(attachments_, {});
  }
  // The next reply, as soon as there is one.
  Reply WaitForReply() {
    MutexLock lock(mutex_);
    while (replies_.empty()) written_.Wait(mutex_);
    Reply reply = std::move(replies_.front());
    replies_.erase(replies_.begin());
    return reply;
  }

 private:
  void OnPipeWork() override {
    MutexLock lock(mutex_);
    const StreamPipe::Work work = pipe_.TakeWork();
    while (!work.messages->empty()) {
      const MessageBatch::Message message = work.messages->Next();
      const size_t size = message.bytes.size() - message.attachment_bytes;
      Reply reply;
      TERN_CHECK(
          reply.ParseFromArray(message.bytes.data(), static_cast<int>(size)));
      replies_.push_back(std::move(reply));
      attachments_.push_back(
          message.attachment_bytes == 0
              ? absl::Cord()
              : CordOf(message.owner, message.bytes.substr(size)));
    }
    work.messages->Clear();
    (void)pipe_.SetQueuedBytes(0);
    written_.NotifyAll();
  }

  StreamPipe pipe_;
  MessageStream messages_;
  ServerReader<Request> reader_;
  ServerWriter<Reply> writer_;
  ServerStream<Request, Reply> stream_;

  Mutex mutex_;
  CondVar written_;
  std::vector<Reply> replies_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Cord> attachments_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tern::testing

#endif  // TERN_TESTING_FAKE_STREAM_H_
