#ifndef TERN_SERVER_SERVER_STREAM_H_
#define TERN_SERVER_SERVER_STREAM_H_

#include "tern/lib/call/message_stream.h"
#include "tern/lib/call/stream_ends.h"

namespace tern {

// What handlers of streaming methods are given beside their ServerContext:
// valid until the handler returns. See StreamReader and StreamWriter.
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

}  // namespace tern

#endif  // TERN_SERVER_SERVER_STREAM_H_
