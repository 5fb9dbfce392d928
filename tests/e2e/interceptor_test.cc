// Interceptors at both ends, around calls of every kind and form.

#include "tern/lib/call/interceptor.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "tern/client/generic_stub.h"
#include "tern/lib/call/spawn.h"
#include "tern/lib/call/task.h"
#include "tern/lib/compress/zstd_compressor.h"
#include "tern/server/unknown_method_service.h"
#include "tests/testing/end_to_end.h"
#include "tests/testing/pattern.h"
#include "tests/testing/spy_compressor.h"

namespace tern::testing {
namespace {

using ::absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Lines = std::vector<std::string>;

// What the interceptors of one end have seen, in order.
class Journal {
 public:
  void Add(std::string line) {
    MutexLock lock(mutex_);
    lines_.push_back(std::move(line));
  }
  Lines lines() const {
    MutexLock lock(mutex_);
    return lines_;
  }
  // Of one hook: "start", "request", "reply", "end".
  Lines Of(std::string_view hook) const {
    Lines found;
    for (std::string& line : lines()) {
      if (line.find(' ' + std::string(hook)) == 1) found.push_back(line);
    }
    return found;
  }

 private:
  mutable Mutex mutex_;
  Lines lines_ ABSL_GUARDED_BY(mutex_);
};

std::string TextOf(const MessageInPassing& passing) {
  if (passing.message() != nullptr) {
    return static_cast<const Message*>(passing.message())->text();
  }
  Message message;
  const std::string_view bytes = passing.raw()->view();
  EXPECT_TRUE(
      message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  return message.text();
}

void SetText(MessageInPassing& passing, const std::string& text) {
  if (passing.message() != nullptr) {
    static_cast<Message*>(passing.mutable_message())->set_text(text);
  } else {
    *passing.mutable_raw() = MessageWith(text).SerializeAsString();
  }
}

void Append(MessageInPassing& passing, std::string_view more) {
  SetText(passing, TextOf(passing) + std::string(more));
}

// What an interceptor of a test does beside noting what it sees.
struct Hooks {
  std::function<void(CallStart&)> start = [](CallStart&) {};
  std::function<void(MessageInPassing&)> request = [](MessageInPassing&) {};
  std::function<void(MessageInPassing&)> reply = [](MessageInPassing&) {};
  std::function<void(CallEnd&)> end = [](CallEnd&) {};
  bool interested = true;
};

class TestInterceptor final : public Interceptor {
 public:
  TestInterceptor(std::string name, Journal* journal, Hooks hooks)
      : name_(std::move(name)), journal_(*journal), hooks_(std::move(hooks)) {}

  std::unique_ptr<CallInterceptor> OnStart(CallStart& start) override {
    journal_.Add(name_ + " start");
    hooks_.start(start);
    if (!hooks_.interested) return nullptr;
    return std::make_unique<OfCall>(*this);
  }

 private:
  class OfCall final : public CallInterceptor {
   public:
    explicit OfCall(const TestInterceptor& by) : by_(by) {}
    void OnRequest(MessageInPassing& request) override {
      by_.journal_.Add(by_.name_ + " request " + TextOf(request));
      by_.hooks_.request(request);
    }
    void OnReply(MessageInPassing& reply) override {
      by_.journal_.Add(by_.name_ + " reply " + TextOf(reply));
      by_.hooks_.reply(reply);
    }
    void OnEnd(CallEnd& end) override {
      by_.journal_.Add(by_.name_ + " end " +
                       absl::StatusCodeToString(end.status.code()));
      by_.hooks_.end(end);
    }

   private:
    const TestInterceptor& by_;
  };

  const std::string name_;
  Journal& journal_;
  const Hooks hooks_;
};

// --- Kinds of calls ----------------------------------------------------------

// As its user sees it.
struct Outcome {
  absl::Status status;
  Lines replies;
};

enum class Kind {
  kBlocking,
  kCallback,
  kCoroutine,
  kWatch,
  kUpload,
  kChat,
  kGeneric,
  kGenericCallback,
  kGenericStream,
};
constexpr Kind kKinds[] = {
    Kind::kBlocking, Kind::kCallback,        Kind::kCoroutine,
    Kind::kWatch,    Kind::kUpload,          Kind::kChat,
    Kind::kGeneric,  Kind::kGenericCallback, Kind::kGenericStream};
const char* NameOf(Kind kind) {
  constexpr const char* kNames[] = {
      "Blocking", "Callback", "Coroutine",       "Watch",        "Upload",
      "Chat",     "Generic",  "GenericCallback", "GenericStream"};
  return kNames[static_cast<int>(kind)];
}
// Whether the client sends "1" and "2", or "1" alone.
bool SendsMany(Kind kind) {
  return kind == Kind::kUpload || kind == Kind::kChat;
}
// Whether replies are read one by one, and requests written.
bool Streams(Kind kind) {
  return kind == Kind::kWatch || kind == Kind::kUpload || kind == Kind::kChat ||
         kind == Kind::kGenericStream;
}

Outcome OutcomeOf(absl::StatusOr<Message> reply) {
  if (!reply.ok()) return {std::move(reply).status(), {}};
  return {absl::OkStatus(), {reply->text()}};
}
Outcome OutcomeOf(absl::StatusOr<RawMessage> reply) {
  if (!reply.ok()) return {std::move(reply).status(), {}};
  return {absl::OkStatus(), {TextOf(MessageInPassing(&*reply))}};
}

// Starts a call with a callback, and waits for that.
template <typename Reply, typename Start>
Outcome WaitFor(Start start) {
  Event done;
  Outcome outcome;
  start([&](absl::StatusOr<Reply> reply) {
    outcome = OutcomeOf(std::move(reply));
    done.Notify();
  });
  EXPECT_TRUE(done.Wait());
  return outcome;
}

template <typename Reply, typename Reader>
Outcome ReadAll(Reader& reader) {
  Outcome outcome;
  Reply reply;
  while (reader.Read(&reply)) {
    outcome.replies.push_back(TextOf(MessageInPassing(&reply)));
  }
  outcome.status = reader.Finish();
  return outcome;
}

Outcome Make(Kind kind, Channel& channel, const CallOptions& options = {}) {
  Tester::Stub stub(channel);
  GenericStub generic(channel);
  constexpr char kCall[] = "tern.testing.Tester/Call";
  const Message one = MessageWith("1");
  const RawMessage raw = one.SerializeAsString();
  switch (kind) {
    case Kind::kBlocking:
      return OutcomeOf(stub.Call(one, options));
    case Kind::kCallback:
      return WaitFor<Message>(
          [&](auto done) { stub.Call(one, options, std::move(done)); });
    case Kind::kCoroutine:
      return WaitFor<Message>([&](auto done) {
        Spawn(stub.Co().Call(one, options).AsTask(), std::move(done));
      });
    case Kind::kWatch: {
      auto reader = stub.Watch(one, options);
      return ReadAll<Message>(reader);
    }
    case Kind::kUpload: {
      auto writer = stub.Upload(options);
      (void)(writer.Write(one) && writer.Write(MessageWith("2")));
      return OutcomeOf(writer.Finish());
    }
    case Kind::kChat: {
      auto stream = stub.Chat(options);
      (void)(stream.Write(one) && stream.Write(MessageWith("2")));
      stream.EndWrites();
      return ReadAll<Message>(stream);
    }
    case Kind::kGeneric:
      return OutcomeOf(generic.Call(kCall, raw, options));
    case Kind::kGenericCallback:
      return WaitFor<RawMessage>([&](auto done) {
        generic.Call(kCall, raw, options, std::move(done));
      });
    case Kind::kGenericStream: {
      auto stream = generic.Stream(kCall, options);
      (void)stream.Write(raw);
      stream.EndWrites();
      return ReadAll<RawMessage>(stream);
    }
  }
  return {};
}

// --- Kinds of services -------------------------------------------------------

// All methods of these answer as InterceptorTest's handlers that block do, and
// count themselves.

class CoEcho final : public Tester::CoService {
 public:
  std::atomic<int> started{0};

 private:
  Task<absl::Status> Call(ServerContext& context, const Message& request,
                          Message* reply) override {
    ++started;
    reply->set_text("re " + request.text());
    context.set_reply_attachment(context.attachment());
    co_return absl::OkStatus();
  }
  Task<absl::Status> Watch(ServerContext& context, const Message& request,
                           ServerWriter<Message>& writer) override {
    ++started;
    const Message reply = MessageWith("re " + request.text());
    co_await writer.CoWrite(reply, context.attachment());
    co_return absl::OkStatus();
  }
  Task<absl::Status> Upload(ServerContext& context,
                            ServerReader<Message>& reader,
                            Message* reply) override {
    ++started;
    Message request;
    absl::Cord attachment;
    absl::Cord all;
    std::string text = "re";
    while (co_await reader.CoRead(&request, &attachment)) {
      text += ' ' + request.text();
      all.Append(attachment);
    }
    reply->set_text(text);
    context.set_reply_attachment(all);
    co_return absl::OkStatus();
  }
  Task<absl::Status> Chat(ServerContext&,
                          ServerStream<Message, Message>& stream) override {
    ++started;
    Message message;
    absl::Cord attachment;
    while (co_await stream.CoRead(&message, &attachment)) {
      message.set_text("re " + message.text());
      if (!co_await stream.CoWrite(message, attachment)) break;
    }
    co_return absl::OkStatus();
  }
};

class CallbackEcho final : public Tester::CallbackService {
 public:
  std::atomic<int> started{0};

 private:
  // Handlers of streams at work. Each owns itself until End().

  struct Uploading {
    ServerContext& context;
    ServerReader<Message>& reader;
    Message* reply;
    Responder responder;
    Message request = {};
    absl::Cord attachment = {};
    absl::Cord all = {};
    std::string text = "re";

    void Go() {
      while (true) {
        switch (reader.TryRead(&request, &attachment)) {
          case Poll::kReady:
            text += ' ' + request.text();
            all.Append(attachment);
            continue;
          case Poll::kNotYet:
            if (reader.WakeForRead([this] { Go(); })) return;
            continue;
          case Poll::kOver:
            reply->set_text(text);
            context.set_reply_attachment(all);
            return End(this);
        }
      }
    }
  };

  struct Chatting {
    ServerStream<Message, Message>& stream;
    Responder responder;
    Message message = {};
    absl::Cord attachment = {};
    bool has_read = false;

    void Go() {
      while (true) {
        const Poll poll = has_read ? stream.TryWrite(message, attachment)
                                   : stream.TryRead(&message, &attachment);
        if (poll == Poll::kOver) return End(this);
        if (poll == Poll::kReady) {
          has_read = !has_read;
          if (has_read) message.set_text("re " + message.text());
        } else if (has_read ? stream.WakeForWrite([this] { Go(); })
                            : stream.WakeForRead([this] { Go(); })) {
          return;
        }
      }
    }
  };

  template <typename Handler>
  static void End(Handler* handler) {
    Responder last = std::move(handler->responder);
    delete handler;
    last.Answer(absl::OkStatus());
  }

  void Call(ServerContext& context, const Message& request, Message* reply,
            Responder responder) override {
    ++started;
    reply->set_text("re " + request.text());
    context.set_reply_attachment(context.attachment());
    responder.Answer(absl::OkStatus());
  }
  void Watch(ServerContext& context, const Message& request,
             ServerWriter<Message>& writer, Responder responder) override {
    ++started;
    // There is room for one.
    (void)writer.TryWrite(MessageWith("re " + request.text()),
                          context.attachment());
    responder.Answer(absl::OkStatus());
  }
  void Upload(ServerContext& context, ServerReader<Message>& reader,
              Message* reply, Responder responder) override {
    ++started;
    (new Uploading{context, reader, reply, std::move(responder)})->Go();
  }
  void Chat(ServerContext&, ServerStream<Message, Message>& stream,
            Responder responder) override {
    ++started;
    (new Chatting{stream, std::move(responder)})->Go();
  }
};

// Any method: as many replies as requests.
class RawEcho final : public UnknownMethodService {
 public:
  absl::Status Handle(ServerContext&,
                      ServerStream<RawMessage, RawMessage>& stream) override {
    RawMessage request;
    while (stream.Read(&request)) {
      const std::string text = TextOf(MessageInPassing(&request));
      stream.Write(MessageWith("re " + text).SerializeAsString());
    }
    return absl::OkStatus();
  }
};

enum class ServedBy { kThreads, kCoroutines, kCallbacks };
constexpr ServedBy kServedBy[] = {ServedBy::kThreads, ServedBy::kCoroutines,
                                  ServedBy::kCallbacks};
const char* NameOf(ServedBy kind) {
  constexpr const char* kNames[] = {"Threads", "Coroutines", "Callbacks"};
  return kNames[static_cast<int>(kind)];
}

auto AllCalls() {
  return ::testing::Combine(::testing::ValuesIn(kKinds),
                            ::testing::ValuesIn(kServedBy));
}
std::string NameOfCall(
    const ::testing::TestParamInfo<std::tuple<Kind, ServedBy>>& call) {
  const auto& [kind, served_by] = call.param;
  return std::string(NameOf(kind)) + "By" + NameOf(served_by);
}

class InterceptorTest : public EndToEnd {
 protected:
  InterceptorTest() {
    service_.OnCall(
        [](ServerContext& context, const Message& request, Message* reply) {
          reply->set_text("re " + request.text());
          context.set_reply_attachment(context.attachment());
          return absl::OkStatus();
        });
    service_.OnWatch([](ServerContext& context, const Message& request,
                        ServerWriter<Message>& writer) {
      (void)writer.Write(MessageWith("re " + request.text()),
                         context.attachment());
      return absl::OkStatus();
    });
    service_.OnUpload([](ServerContext& context, ServerReader<Message>& reader,
                         Message* reply) {
      std::string text = "re";
      Message request;
      absl::Cord attachment;
      absl::Cord all;
      while (reader.Read(&request, &attachment)) {
        text += ' ' + request.text();
        all.Append(attachment);
      }
      reply->set_text(text);
      context.set_reply_attachment(all);
      return absl::OkStatus();
    });
    service_.OnChat([](ServerContext&, ServerStream<Message, Message>& stream) {
      Message request;
      absl::Cord attachment;
      while (stream.Read(&request, &attachment) &&
             stream.Write(MessageWith("re " + request.text()), attachment)) {
      }
      return absl::OkStatus();
    });
  }
  ~InterceptorTest() override { StopServer(); }

  void AtClient(std::string name, Hooks hooks = {}) {
    client_.push_back(std::make_shared<TestInterceptor>(
        std::move(name), &at_client_, std::move(hooks)));
  }
  void AtServer(std::string name, Hooks hooks = {}) {
    server_side_.push_back(std::make_shared<TestInterceptor>(
        std::move(name), &at_server_, std::move(hooks)));
  }
  std::unique_ptr<Channel> Start(Service* service) {
    ServerOptions server = server_options_;
    server.interceptors = server_side_;
    StartServerOf(service, server);
    ChannelOptions channel = channel_options_;
    channel.interceptors = client_;
    return Connect(channel);
  }
  std::unique_ptr<Channel> Start() { return Start(&ServiceOf(served_by_)); }

  Service& ServiceOf(ServedBy kind) {
    switch (kind) {
      case ServedBy::kCoroutines:
        return co_service_;
      case ServedBy::kCallbacks:
        return callback_service_;
      default:
        return service_;
    }
  }
  // How many handlers have begun.
  int started() const {
    return service_.started() + co_service_.started + callback_service_.started;
  }

  ServedBy served_by_ = ServedBy::kThreads;
  ServerOptions server_options_;
  ChannelOptions channel_options_;
  Journal at_client_;
  Journal at_server_;
  Interceptors client_;
  Interceptors server_side_;
  CoEcho co_service_;
  CallbackEcho callback_service_;
  RawEcho unknown_;
};

// For each kind of call, to each kind of service.
class EveryCall
    : public InterceptorTest,
      public ::testing::WithParamInterface<std::tuple<Kind, ServedBy>> {
 protected:
  EveryCall() { served_by_ = std::get<ServedBy>(GetParam()); }
  Kind kind() const { return std::get<Kind>(GetParam()); }
  Lines Requests() const {
    return SendsMany(kind()) ? Lines{"1", "2"} : Lines{"1"};
  }
  Lines Replies() const {
    if (kind() == Kind::kUpload) return {"re 1 2"};
    return SendsMany(kind()) ? Lines{"re 1", "re 2"} : Lines{"re 1"};
  }
  // What two interceptors see of them.
  static Lines Seen(const Lines& texts, const std::string& first,
                    const std::string& second) {
    Lines lines;
    for (const std::string& text : texts) {
      lines.push_back(first + ' ' + text);
      lines.push_back(second + ' ' + text);
    }
    return lines;
  }
  static Lines Join(std::initializer_list<Lines> lists) {
    Lines all;
    for (const Lines& list : lists) {
      all.insert(all.end(), list.begin(), list.end());
    }
    return all;
  }
  void ExpectAllSeen(const Journal& journal) const {
    EXPECT_EQ(journal.Of("start"), (Lines{"a start", "b start"}));
    EXPECT_EQ(journal.Of("request"),
              Seen(Requests(), "a request", "b request"));
    EXPECT_EQ(journal.Of("reply"), Seen(Replies(), "b reply", "a reply"));
    EXPECT_EQ(journal.Of("end"), (Lines{"b end OK", "a end OK"}));
  }
  // Nothing overtakes, where messages cannot.
  void ExpectInOrder(const Journal& journal) const {
    EXPECT_EQ(journal.lines(), Join({journal.Of("start"), journal.Of("request"),
                                     journal.Of("reply"), journal.Of("end")}));
  }
};

INSTANTIATE_TEST_SUITE_P(, EveryCall, AllCalls(), NameOfCall);

TEST_P(EveryCall, IsSeenAtBothEnds) {
  for (const char* name : {"a", "b"}) {
    AtClient(name);
    AtServer(name);
  }
  const auto channel = Start();
  const Outcome outcome = Make(kind(), *channel);
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.replies, Replies());
  ExpectAllSeen(at_client_);
  ExpectAllSeen(at_server_);
  if (!Streams(kind())) ExpectInOrder(at_client_);
  if (kind() != Kind::kChat) ExpectInOrder(at_server_);
}

TEST_P(EveryCall, IsSeenByAServiceThatKnowsNoMethods) {
  if (kind() == Kind::kUpload) return;  // The service is none of that kind.
  AtServer("a");
  AtServer("b");
  const auto channel = Start(&unknown_);
  const Outcome outcome = Make(kind(), *channel);
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.replies, Replies());
  ExpectAllSeen(at_server_);
}

Hooks RefusingStart() {
  return {.start = [](CallStart& start) {
    start.refusal = absl::UnauthenticatedError("who are you?");
  }};
}
Hooks RefusingRequests() {
  return {.request = [](MessageInPassing& request) {
    request.Refuse(absl::PermissionDeniedError("not this"));
  }};
}
Hooks RefusingReplies() {
  return {.reply = [](MessageInPassing& reply) {
    reply.Refuse(absl::DataLossError("not that"));
  }};
}

TEST_P(EveryCall, CanBeStoppedAtItsStartByTheClient) {
  AtClient("a");
  AtClient("b", RefusingStart());
  AtClient("c");
  const auto channel = Start();
  EXPECT_TRUE(Failed(Make(kind(), *channel).status,
                     StatusCode::kUnauthenticated, Certainty::kNotStarted));
  EXPECT_THAT(at_client_.lines(),
              ElementsAre("a start", "b start", "b end UNAUTHENTICATED",
                          "a end UNAUTHENTICATED"));
  EXPECT_EQ(started(), 0);
}

TEST_P(EveryCall, CanBeStoppedAtItsStartByTheServer) {
  AtServer("a");
  AtServer("b", RefusingStart());
  AtServer("c");
  const auto channel = Start();
  EXPECT_TRUE(Failed(Make(kind(), *channel).status,
                     StatusCode::kUnauthenticated, Certainty::kNotStarted));
  EXPECT_THAT(at_server_.lines(),
              ElementsAre("a start", "b start", "b end UNAUTHENTICATED",
                          "a end UNAUTHENTICATED"));
  EXPECT_EQ(started(), 0);
}

TEST_P(EveryCall, CanBeStoppedByAServiceThatKnowsNoMethods) {
  AtServer("a", RefusingStart());
  const auto channel = Start(&unknown_);
  EXPECT_TRUE(Failed(Make(kind(), *channel).status,
                     StatusCode::kUnauthenticated, Certainty::kNotStarted));
  EXPECT_THAT(at_server_.lines(),
              ElementsAre("a start", "a end UNAUTHENTICATED"));
}

TEST_P(EveryCall, CanBeStoppedAtItsRequestByTheClient) {
  AtClient("a", RefusingRequests());
  AtClient("b");
  const auto channel = Start();
  const absl::Status status = Make(kind(), *channel).status;
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied) << status;
  // With one request nothing has been sent.
  if (!SendsMany(kind()) && kind() != Kind::kGenericStream) {
    EXPECT_EQ(CertaintyOf(status), Certainty::kNotStarted);
    EXPECT_EQ(started(), 0);
  }
  EXPECT_THAT(at_client_.Of("request"), ElementsAre("a request 1"));
  EXPECT_THAT(at_client_.Of("end"), ElementsAre("b end PERMISSION_DENIED",
                                                "a end PERMISSION_DENIED"));
}

TEST_P(EveryCall, CanBeStoppedAtItsRequestByTheServer) {
  AtServer("a", RefusingRequests());
  AtServer("b");
  const auto channel = Start();
  const absl::Status status = Make(kind(), *channel).status;
  // A handler that reads requests has begun.
  EXPECT_TRUE(Failed(
      status, StatusCode::kPermissionDenied,
      SendsMany(kind()) ? Certainty::kFinished : Certainty::kNotStarted));
  EXPECT_EQ(started(), SendsMany(kind()) ? 1 : 0);
  EXPECT_THAT(at_server_.Of("request"), ElementsAre("a request 1"));
  EXPECT_THAT(at_server_.Of("end"), ElementsAre("b end PERMISSION_DENIED",
                                                "a end PERMISSION_DENIED"));
}

TEST_P(EveryCall, CanBeStoppedAtItsReplyByTheServer) {
  AtServer("a");
  AtServer("b", RefusingReplies());
  const auto channel = Start();
  const Outcome outcome = Make(kind(), *channel);
  EXPECT_TRUE(
      Failed(outcome.status, StatusCode::kDataLoss, Certainty::kFinished));
  EXPECT_THAT(outcome.replies, IsEmpty());
  EXPECT_THAT(at_server_.Of("reply"),
              ElementsAre("b reply " + Replies().front()));
  EXPECT_THAT(at_server_.Of("end"),
              ElementsAre("b end DATA_LOSS", "a end DATA_LOSS"));
}

TEST_P(EveryCall, CanBeStoppedAtItsReplyByTheClient) {
  AtClient("a");
  AtClient("b", RefusingReplies());
  const auto channel = Start();
  const Outcome outcome = Make(kind(), *channel);
  EXPECT_EQ(outcome.status.code(), StatusCode::kDataLoss) << outcome.status;
  EXPECT_TRUE(CallError::From(outcome.status).has_value());
  EXPECT_THAT(outcome.replies, IsEmpty());
  EXPECT_THAT(at_client_.Of("reply"),
              ElementsAre("b reply " + Replies().front()));
  // A stream may have ended before its reply was read.
  EXPECT_EQ(at_client_.Of("end").size(), 2u);
  if (!Streams(kind()) || kind() == Kind::kUpload) {
    EXPECT_EQ(CertaintyOf(outcome.status), Certainty::kFinished);
    EXPECT_THAT(at_client_.Of("end"),
                ElementsAre("b end DATA_LOSS", "a end DATA_LOSS"));
  }
}

TEST_P(EveryCall, HasItsMessagesReplaced) {
  const auto appending = [](std::string_view name) {
    return Hooks{
        .request = [name](MessageInPassing& request) { Append(request, name); },
        .reply = [name](MessageInPassing& reply) { Append(reply, name); }};
  };
  AtClient("a", appending("a"));
  AtClient("b", appending("b"));
  AtServer("c", appending("c"));
  AtServer("d", appending("d"));
  const auto channel = Start();
  const Outcome outcome = Make(kind(), *channel);
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  Lines replies;
  if (kind() == Kind::kUpload) {
    replies = {"re 1abcd 2abcddcba"};
  } else {
    for (const std::string& text : Requests()) {
      replies.push_back("re " + text + "abcddcba");
    }
  }
  EXPECT_EQ(outcome.replies, replies);
}

TEST_P(EveryCall, HasItsMetadataAndTraceChanged) {
  const wire::TraceContext trace = {
      .trace_id_high = 1, .trace_id_low = 2, .span_id = 3};
  AtClient("a", {.start =
                     [&trace](CallStart& start) {
                       EXPECT_EQ(start.side, CallSide::kClient);
                       EXPECT_EQ(start.response_metadata, nullptr);
                       EXPECT_FALSE(start.deadline.is_infinite());
                       start.metadata.Set("token", "secret");
                       start.trace = trace;
                     },
                 .end =
                     [](CallEnd& end) {
                       EXPECT_EQ(end.trailing_metadata.Get("last"), "2");
                       end.trailing_metadata.Add("seen", "3");
                     }});
  AtServer(
      "b",
      {.start =
           [&trace](CallStart& start) {
             EXPECT_EQ(start.side, CallSide::kServer);
             EXPECT_FALSE(start.deadline.is_infinite());
             EXPECT_EQ(start.trace, trace);
             EXPECT_EQ(start.metadata.Get("token"), "secret");
             start.metadata.Remove("token");
             start.metadata.Set("user", "ann");
             start.response_metadata->Add("first", "1");
           },
       .end = [](CallEnd& end) { end.trailing_metadata.Add("last", "2"); }});
  // Sees what the one before has left.
  AtServer("c", {.start = [](CallStart& start) {
             EXPECT_EQ(start.metadata.Get("user"), "ann");
             EXPECT_FALSE(start.metadata.Get("token").has_value());
           }});
  const auto channel = Start();
  CallInfo info;
  const Outcome outcome = Make(kind(), *channel,
                               {.timeout = absl::Minutes(10),
                                .metadata = {{"token", "none"}},
                                .info = &info});
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(info.response_metadata.Get("first"), "1");
  EXPECT_EQ(info.trailing_metadata.Get("last"), "2");
  EXPECT_EQ(info.trailing_metadata.Get("seen"), "3");
}

TEST_P(EveryCall, IsMeasured) {
  const Hooks measuring = {
      .start =
          [this](CallStart& start) {
            EXPECT_EQ(start.method.substr(0, 20), "tern.testing.Tester/");
            if (start.side == CallSide::kClient) {
              EXPECT_EQ(start.peer, target());
            } else {
              EXPECT_NE(start.peer, "");
            }
          },
      .request =
          [](MessageInPassing& request) { EXPECT_EQ(request.ByteSize(), 3u); },
      .end =
          [](CallEnd& end) {
            EXPECT_GT(end.elapsed, absl::ZeroDuration());
            EXPECT_FALSE(end.cancelled);
          }};
  AtClient("a", measuring);
  AtServer("b", measuring);
  const auto channel = Start();
  EXPECT_TRUE(Make(kind(), *channel).status.ok());
  EXPECT_EQ(at_client_.Of("end").size(), 1u);
  EXPECT_EQ(at_server_.Of("end").size(), 1u);
}

TEST_P(EveryCall, HasItsEndReplaced) {
  AtClient("a", {.end = [](CallEnd& end) {
             EXPECT_EQ(end.status.code(), StatusCode::kInternal);
             end.status = absl::AbortedError("by the client");
           }});
  AtServer("b", {.end = [](CallEnd& end) {
             EXPECT_TRUE(end.status.ok()) << end.status;
             end.status = absl::InternalError("by the server");
           }});
  const auto channel = Start();
  // What is known of the call is kept.
  EXPECT_TRUE(Failed(Make(kind(), *channel).status, StatusCode::kAborted,
                     Certainty::kFinished));
}

TEST_P(EveryCall, MayEndWellThatWasStoppedByTheServer) {
  AtServer("a", {.end = [](CallEnd& end) { end.status = absl::OkStatus(); }});
  AtServer("b", RefusingStart());
  const auto channel = Start();
  const Outcome outcome = Make(kind(), *channel);
  if (kind() == Kind::kGenericStream) {
    EXPECT_EQ(outcome.replies, (Lines{""}));
  }
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(started(), 0);
}

// What it is told of a call that was not even begun.
TEST_P(EveryCall, IsSeenThatCannotBeMade) {
  AtClient("a");
  StartServer();
  const auto channel =
      Channel::Create("no target at all", {.interceptors = client_});
  EXPECT_TRUE(Failed(Make(kind(), *channel).status,
                     StatusCode::kInvalidArgument, Certainty::kNotStarted));
  EXPECT_THAT(at_client_.Of("end"), ElementsAre("a end INVALID_ARGUMENT"));
}

TEST_P(EveryCall, IsLeftAloneByWhoIsNotInterested) {
  AtClient("a", {.interested = false});
  AtServer("b", {.interested = false});
  const auto channel = Start();
  EXPECT_TRUE(Make(kind(), *channel).status.ok());
  EXPECT_THAT(at_client_.lines(), ElementsAre("a start"));
  EXPECT_THAT(at_server_.lines(), ElementsAre("b start"));
  // Such a one may refuse, too.
  Hooks refusing = RefusingStart();
  refusing.interested = false;
  AtServer("c", refusing);
  StopServer();
  const auto other = Start();
  EXPECT_TRUE(Failed(Make(kind(), *other).status, StatusCode::kUnauthenticated,
                     Certainty::kNotStarted));
}

// --- Ends that nobody has asked for ------------------------------------------

// A unary call and a stream that wait in their handlers, and how they end.
class UntimelyEnd : public InterceptorTest {
 protected:
  UntimelyEnd() {
    AtClient("a", {.end = [this](CallEnd& end) {
               {
                 MutexLock lock(mutex_);
                 client_codes_.push_back(end.status.code());
               }
               client_ended_.Notify();
             }});
    AtServer("b", {.end = [this](CallEnd& end) {
               MutexLock lock(mutex_);
               ++server_ends_;
               if (end.cancelled) ++server_cancelled_;
             }});
    service_.OnCall(holdup_.HandlerThatHeedsCancellation());
    service_.OnChat(
        [this](ServerContext&, ServerStream<Message, Message>& stream) {
          chatting_.Notify();
          Message message;
          while (stream.Read(&message)) {
          }
          return absl::OkStatus();
        });
  }

  void Begin(const ChannelOptions& options = {},
             const CallOptions& call_options = {}) {
    StartServer({.interceptors = server_side_});
    ChannelOptions with_interceptors = options;
    with_interceptors.interceptors = client_;
    channel_ = Connect(with_interceptors);
    call_ = StartCall(*channel_, "x", call_options);
    chat_.emplace(Tester::Stub(*channel_).Chat(call_options));
    ASSERT_TRUE(holdup_.WaitForEntered());
    ASSERT_TRUE(chatting_.Wait());
  }
  // Both have ended so, each was told of once, at both ends.
  void ExpectEnds(StatusCode code) {
    EXPECT_EQ(call_->WaitForStatus().code(), code);
    EXPECT_EQ(chat_->Finish().code(), code);
    StopServer();  // And its handlers.
    MutexLock lock(mutex_);
    EXPECT_THAT(client_codes_, ElementsAre(code, code));
    EXPECT_EQ(server_ends_, 2);
    EXPECT_EQ(server_cancelled_, 2);
  }

  Event chatting_;
  Mutex mutex_;
  std::vector<StatusCode> client_codes_ ABSL_GUARDED_BY(mutex_);
  int server_ends_ ABSL_GUARDED_BY(mutex_) = 0;
  int server_cancelled_ ABSL_GUARDED_BY(mutex_) = 0;
  Event client_ended_;
  std::unique_ptr<Channel> channel_;
  std::shared_ptr<PendingCall> call_;
  std::optional<ClientStream<Message, Message>> chat_;
};

TEST_F(UntimelyEnd, ByCancellation) {
  Begin();
  call_->Cancel();
  chat_->Cancel();
  ExpectEnds(StatusCode::kCancelled);
}

TEST_F(UntimelyEnd, ByDeadline) {
  // Long enough for both to be begun. The same for both: else Finish() might
  // end the stream between the two.
  Begin({}, {.deadline = Deadline::After(absl::Seconds(2))});
  ExpectEnds(StatusCode::kDeadlineExceeded);
}

TEST_F(UntimelyEnd, ByDrain) {
  Begin();
  EXPECT_FALSE(server_->Drain(absl::Milliseconds(20)).ok());
  ExpectEnds(StatusCode::kCancelled);
}

TEST_F(UntimelyEnd, ByTheServersStop) {
  Begin();
  server_->Stop();
  ExpectEnds(StatusCode::kUnavailable);
}

TEST_F(UntimelyEnd, ByTheEndOfTheChannel) {
  Begin();
  channel_.reset();
  ExpectEnds(StatusCode::kCancelled);
}

TEST_F(UntimelyEnd, OfAStreamThatIsDropped) {
  Begin();
  chat_.reset();
  call_->Cancel();
  EXPECT_EQ(call_->WaitForStatus().code(), StatusCode::kCancelled);
  EXPECT_TRUE(client_ended_.Wait(2));
  StopServer();
  MutexLock lock(mutex_);
  EXPECT_EQ(client_codes_.size(), 2u);
  EXPECT_EQ(server_ends_, 2);
}

// Its user is told what nobody could know when it ended.
TEST_F(InterceptorTest, RefusesAReplyAfterTheEnd) {
  for (const bool calls_back : {false, true}) {
    Event ended;
    client_.clear();
    Hooks hooks = RefusingReplies();
    hooks.end = [&ended](CallEnd& end) {
      EXPECT_TRUE(end.status.ok()) << end.status;
      ended.Notify();
    };
    AtClient("a", hooks);
    StopServer();
    const auto channel = Start();
    auto reader = Tester::Stub(*channel).Watch(MessageWith("1"));
    ASSERT_TRUE(ended.Wait());
    Message reply;
    EXPECT_FALSE(reader.Read(&reply));
    absl::Status status;
    if (calls_back) {
      Event finished;
      reader.Finish([&](absl::Status said) {
        status = std::move(said);
        finished.Notify();
      });
      ASSERT_TRUE(finished.Wait());
    } else {
      status = reader.Finish();
    }
    EXPECT_TRUE(Failed(status, StatusCode::kDataLoss, Certainty::kFinished));
    EXPECT_EQ(ended.count(), 1);
  }
}

// --- With compression --------------------------------------------------------

class EveryCompressedCall : public EveryCall {
 protected:
  EveryCompressedCall() {
    server_options_.compressors = {&servers_};
    channel_options_.compressors = {&clients_};
    channel_options_.compression = Compression::kZstd;
  }
  ~EveryCompressedCall() override { StopServer(); }  // Before the codecs.

  // Of so many bytes that it is compressed.
  static void Lengthen(MessageInPassing& message) { Append(message, Tail()); }
  static void Shorten(MessageInPassing& message) {
    const std::string text = TextOf(message);
    EXPECT_TRUE(absl::EndsWith(text, Tail())) << text;
    SetText(message, std::string(absl::StripSuffix(text, Tail())));
  }
  int requests() const { return static_cast<int>(Requests().size()); }
  int replies() const { return static_cast<int>(Replies().size()); }

  static std::string Tail() { return std::string(2000, 'x'); }
  SpyCompressor clients_{Compression::kZstd};
  SpyCompressor servers_{Compression::kZstd};
};

INSTANTIATE_TEST_SUITE_P(, EveryCompressedCall, AllCalls(), NameOfCall);

// What a hook has made of a message is compressed; what has come is inflated
// before a hook sees it.
TEST_P(EveryCompressedCall, IsCompressedAsItWasReplaced) {
  AtClient("a", {.request = Lengthen, .reply = Shorten});
  AtServer("b", {.request = Shorten, .reply = Lengthen});
  const auto channel = Start();
  const Outcome outcome = Make(kind(), *channel);
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.replies, Replies());
  EXPECT_EQ(clients_.compressed(), requests());
  EXPECT_EQ(servers_.inflated(), requests());
  EXPECT_EQ(servers_.compressed(), replies());
  EXPECT_EQ(clients_.inflated(), replies());
  // As it was before the hooks.
  EXPECT_EQ(at_server_.Of("request").front(), "b request 1" + Tail());
  EXPECT_EQ(at_client_.Of("reply").front(),
            "a reply " + Replies().front() + Tail());
}

TEST_P(EveryCompressedCall, IsSentAsItIsWhenReplacedByLittle) {
  AtClient("a", {.request = Lengthen});
  AtClient("b", {.request = Shorten});
  AtServer("c", {.reply = Shorten});
  AtServer("d", {.reply = Lengthen});
  const auto channel = Start();
  const Outcome outcome = Make(kind(), *channel);
  EXPECT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.replies, Replies());
  EXPECT_EQ(clients_.compressed(), 0);
  EXPECT_EQ(servers_.compressed(), 0);
}

// --- With attachments --------------------------------------------------------

// Of each kind of service; whether messages are compressed.
class Attachments
    : public InterceptorTest,
      public ::testing::WithParamInterface<std::tuple<ServedBy, bool>> {
 protected:
  static constexpr size_t kSizes[] = {10, 100'000};

  Attachments() {
    served_by_ = std::get<ServedBy>(GetParam());
    server_options_.compressors = {ZstdCompressor()};
    server_options_.min_compressed_bytes = 1;
    channel_options_.compressors = {ZstdCompressor()};
    channel_options_.min_compressed_bytes = 1;
    if (std::get<bool>(GetParam())) {
      channel_options_.compression = Compression::kZstd;
    }
    const Hooks replacing = {
        .request = [](MessageInPassing& request) { Append(request, Plus()); },
        .reply = [](MessageInPassing& reply) { Append(reply, Minus()); }};
    AtClient("a", replacing);
    AtServer("b", replacing);
  }
  // Both hooks have been there, both ways.
  static std::string Reply(const std::string& text) {
    return "re " + text + Plus() + Plus() + Minus() + Minus();
  }

  static std::string Plus() { return std::string(100, '+'); }
  static std::string Minus() { return std::string(100, '-'); }
};

INSTANTIATE_TEST_SUITE_P(
    , Attachments,
    ::testing::Combine(::testing::ValuesIn(kServedBy), ::testing::Bool()),
    [](const auto& info) {
      return std::string(NameOf(std::get<ServedBy>(info.param))) +
             (std::get<bool>(info.param) ? "Compressed" : "Plain");
    });

TEST_P(Attachments, StayBesideAReplacedRequestAndReply) {
  const auto channel = Start();
  for (const size_t size : kSizes) {
    const std::string bytes = Pattern(size);
    CallInfo info;
    const Outcome outcome =
        Make(Kind::kBlocking, *channel,
             {.attachment = absl::Cord(bytes), .info = &info});
    EXPECT_EQ(outcome.replies, Lines{Reply("1")}) << outcome.status;
    EXPECT_TRUE(info.attachment == bytes);
  }
}

TEST_P(Attachments, StayBesideTheReplacedMessagesOfAServersStream) {
  const auto channel = Start();
  for (const size_t size : kSizes) {
    const std::string bytes = Pattern(size);
    auto reader = Tester::Stub(*channel).Watch(
        MessageWith("1"), {.attachment = absl::Cord(bytes)});
    Message reply;
    absl::Cord attachment;
    ASSERT_TRUE(reader.Read(&reply, &attachment));
    EXPECT_EQ(reply.text(), Reply("1"));
    EXPECT_TRUE(attachment == bytes);
    EXPECT_TRUE(reader.Finish().ok());
  }
}

TEST_P(Attachments, StayBesideTheReplacedMessagesOfAClientsStream) {
  const auto channel = Start();
  for (const size_t size : kSizes) {
    CallInfo info;
    auto writer = Tester::Stub(*channel).Upload({.info = &info});
    ASSERT_TRUE(writer.Write(MessageWith("1"), absl::Cord(Pattern(size, 1))));
    ASSERT_TRUE(writer.Write(MessageWith("2"), absl::Cord(Pattern(size, 2))));
    const absl::StatusOr<Message> reply = writer.Finish();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text(), "re 1" + Plus() + Plus() + " 2" + Plus() + Plus() +
                                 Minus() + Minus());
    EXPECT_TRUE(info.attachment == Pattern(size, 1) + Pattern(size, 2));
  }
}

TEST_P(Attachments, StayBesideTheReplacedMessagesOfBothStreams) {
  const auto channel = Start();
  auto stream = Tester::Stub(*channel).Chat();
  for (const size_t size : {size_t{10}, size_t{0}, size_t{100'000}}) {
    const std::string bytes = Pattern(size);
    ASSERT_TRUE(stream.Write(MessageWith("1"), absl::Cord(bytes)));
    Message reply;
    absl::Cord attachment("of the one before");
    ASSERT_TRUE(stream.Read(&reply, &attachment));
    EXPECT_EQ(reply.text(), Reply("1"));
    EXPECT_TRUE(attachment == bytes);
  }
  EXPECT_TRUE(stream.Finish().ok());
}

// --- Long messages -----------------------------------------------------------

// What it makes of a request is sent from where that lies, and the caller's own
// stays what it is; at the server the same of a reply.
TEST_F(InterceptorTest, MakesLongMessagesOfShortOnes) {
  const std::string more = Pattern(300'000);
  std::string printable(more.size(), '\0');
  for (size_t i = 0; i < more.size(); ++i) {
    printable[i] = static_cast<char>('a' + (more[i] & 15));
  }
  Hooks requests;
  requests.request = [&](MessageInPassing& message) {
    Append(message, printable);
  };
  Hooks replies;
  replies.reply = [&](MessageInPassing& message) {
    Append(message, printable);
  };
  AtClient("a", requests);
  AtServer("b", replies);
  const auto channel = Start();
  const Message request = MessageWith("1");
  for (int i = 0; i < 3; ++i) {
    const absl::StatusOr<Message> reply = Tester::Stub(*channel).Call(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_TRUE(reply->text() == "re 1" + printable + printable);
    EXPECT_EQ(request.text(), "1");
  }
}

// --- Options -----------------------------------------------------------------

TEST_F(InterceptorTest, NoneIsNull) {
  EXPECT_EQ(
      CheckServerOptions({.listen = {"127.0.0.1:0"}, .interceptors = {nullptr}})
          .code(),
      StatusCode::kInvalidArgument);
  StartServer();
  const auto channel = Connect({.interceptors = {nullptr}});
  EXPECT_TRUE(Failed(CallStatus(*channel, "x"), StatusCode::kInvalidArgument,
                     Certainty::kNotStarted));
}

}  // namespace
}  // namespace tern::testing
