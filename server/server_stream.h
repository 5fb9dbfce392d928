#ifndef TERN_SERVER_SERVER_STREAM_H_
#define TERN_SERVER_SERVER_STREAM_H_

#include <cstddef>
#include <new>
#include <type_traits>

#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/stream_ends.h"

namespace tern {

// What handlers of streaming methods are given beside their ServerContext:
// valid until the handler has ended. (That is: has returned; as a coroutine,
// has co_returned; of a CallbackService, has answered. In a callback of the
// stream's own it is valid, too: an outstanding read or write is told false
// when the call ends.) See StreamReader and StreamWriter.
//
// Reads and writes say false, too, when the call is cancelled
// (ServerContext::cancelled()): the handler should return then.

// The requests of a client that streams.
template <typename Request>
class ServerReader final : public StreamReader<Request> {
 public:
  explicit ServerReader(MessageStream* messages)
      : StreamReader<Request>(messages) {}
};

// The replies of a server that streams.
template <typename Reply>
class ServerWriter final : public StreamWriter<Reply> {
 public:
  explicit ServerWriter(MessageStream* messages)
      : StreamWriter<Reply>(messages) {}
};

// Both, where either side may speak at any time.
template <typename Request, typename Reply>
class ServerStream final : public StreamReader<Request>,
                           public StreamWriter<Reply> {
 public:
  explicit ServerStream(MessageStream* messages)
      : StreamReader<Request>(messages), StreamWriter<Reply>(messages) {}
};

namespace server_internal {

// A streaming call's messages, and the place of what its handler is given to
// read and write them by: that lives as long as the call.
class HandlerStream {
 public:
  explicit HandlerStream(MessageStream* messages) : messages_(messages) {}
  HandlerStream(const HandlerStream&) = delete;
  HandlerStream& operator=(const HandlerStream&) = delete;

  // A ServerReader, ServerWriter or ServerStream. Once.
  template <typename End>
  End& Make() {
    static_assert(sizeof(End) <= sizeof(place_) &&
                  std::is_trivially_destructible_v<End>);
    return *new (place_) End(messages_);
  }

 private:
  MessageStream* const messages_;
  alignas(MessageStream*) std::byte place_[2 * sizeof(MessageStream*)];
};

}  // namespace server_internal
}  // namespace tern

#endif  // TERN_SERVER_SERVER_STREAM_H_
