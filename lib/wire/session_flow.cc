// Streams that carry much: how far they fill the way to the peer, and whom they
// let pass.

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "tern/lib/wire/session.h"

namespace tern::wire {

void Session::Consume(Stream* stream, size_t bytes) {
  stream->unconsumed_bytes_ = std::max<int64_t>(
      0, stream->unconsumed_bytes_ - static_cast<int64_t>(bytes));
  if (closed_ || stream->wire_ended_ || stream->receive_ended_) return;
  const int64_t initial = options_.hello.stream_window_bytes;
  const int64_t window = stream->flow_ == nullptr
                             ? initial
                             : std::max(initial, stream->flow_->window);
  const int64_t grant =
      window - stream->unconsumed_bytes_ - stream->receive_window_;
  if (grant < std::min(initial / 2, kCreditBytes)) return;
  stream->receive_window_ += grant;
  AppendWindow(stream->id_, static_cast<uint32_t>(grant));
  TuneWindow(*stream, grant);
}

Stream::Flow& Session::FlowOf(Stream& stream) {
  if (stream.flow_ == nullptr) {
    stream.flow_ = std::make_unique<Stream::Flow>();
    stream.flow_->since = stream.flow_->credited_at = now_;
  }
  return *stream.flow_;
}

// The window is to be twice what comes in on the way there and back. Where it
// is smaller than that product, what comes in is itself one window for each way
// there and back, and so the window doubles each time, until the network, the
// sender or the reader is what takes the time.
//
// The round trip is the network's own, without what waits at either end: else a
// window would grow by the waiting that it brings about.
void Session::TuneWindow(Stream& stream, int64_t consumed) {
  constexpr int64_t kIntervalNs = 10'000'000;
  // Of what the host can spare, for one stream and at one time.
  constexpr int64_t kSparePart = 8;
  Stream::Flow& flow = FlowOf(stream);
  flow.bytes += consumed;
  const int64_t elapsed_ns = now_.nanoseconds() - flow.since.nanoseconds();
  if (elapsed_ns < kIntervalNs) return;
  const PathFacts path = visitor_->GetPathFacts();
  // Shorter than that, it could be one burst.
  const int64_t round_trip_ns = absl::ToInt64Nanoseconds(path.round_trip);
  if (elapsed_ns < round_trip_ns) return;
  const double product = static_cast<double>(flow.bytes) *
                         static_cast<double>(round_trip_ns) /
                         static_cast<double>(elapsed_ns);
  flow.bytes = 0;
  flow.since = now_;
  const int64_t before =
      std::max<int64_t>(options_.hello.stream_window_bytes, flow.window);
  const int64_t most = std::min(
      {options_.max_stream_window_bytes, int64_t{Hello::kMaxWindowBytes},
       before + std::max<int64_t>(path.spare_bytes, 0) / kSparePart});
  const auto wanted =
      static_cast<int64_t>(std::min(2 * product, static_cast<double>(most)));
  if (wanted <= before) return;
  flow.window = wanted;
  GrowConnectionWindow(wanted);
}

// Twice a stream's, so that it is not what a stream waits for: its credit is
// given back by the half.
void Session::GrowConnectionWindow(int64_t stream_window) {
  const int64_t before = std::max<int64_t>(
      options_.hello.connection_window_bytes, bulk().connection_window);
  const int64_t wanted =
      std::min<int64_t>(2 * stream_window, Hello::kMaxWindowBytes / 2);
  if (wanted <= before) return;
  bulk().connection_window = wanted;
  receive_window_ += wanted - before;
  AppendWindow(0, static_cast<uint32_t>(wanted - before));
}

// What a stream has on the way is what it was granted at its beginning and has
// not left now; and what is on the way arrives, and is read, before a reply
// that comes now. So while calls are made beside it, it keeps that small.
// (Where its window has grown, it has more; but there the way is long itself.)
// A peer that gives no credit meanwhile is not waited for: it may do so by
// larger steps.
bool Session::GivesWayToCalls(Stream& stream) {
  const StreamId newest = is_client() ? next_id_ - 2 : highest_id_;
  const bool sends_stream = is_client() ? stream.shape_.client_streaming
                                        : stream.shape_.server_streaming;
  if (!sends_stream || stream.id_ == newest) return false;
  if (int64_t{peer_.stream_window_bytes} - stream.send_window_ <
      kBesideCallsBytes) {
    return false;
  }
  Stream::Flow& flow = FlowOf(stream);
  if (now_.nanoseconds() - flow.credited_at.nanoseconds() >= kBesideCallsNs) {
    return false;
  }
  if (std::exchange(flow.held, true)) return true;
  if (bulk().held.empty()) bulk().held_until = now_.After(kBesideCallsNs);
  bulk().held.push_back(stream.id_);
  return true;
}

void Session::EndGivingWay() {
  for (const StreamId id : std::exchange(bulk().held, {})) {
    Stream* const stream = streams_.Find(id);
    if (stream == nullptr || stream->flow_ == nullptr) continue;
    stream->flow_->held = false;
    if (stream->send_queue_ != nullptr) MakeReady(*stream);
  }
}

}  // namespace tern::wire
