#include "server/api/rank_control_service.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/api/bearer.h"

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::RankMessage;
using Reactor = grpc::ServerBidiReactor<RankMessage, FrontendMessage>;

constexpr std::chrono::seconds kRefusalsInterval{10};  // between two lines about refused ranks

class RankStream final : public Reactor, private RankWire {
 public:
  RankStream(RankId id, grpc::CallbackServerContext* context, EventLoop& loop, RankGroups& groups,
             RankStreams& streams)
      : id_(id),
        context_(context),
        loop_(loop),
        groups_(groups),
        streams_(streams),
        link_(std::make_shared<RankStreamLink>(static_cast<RankWire*>(this))) {}

  // Not OK: there are too many; the stream has ended then.
  absl::Status Begin() {
    const absl::Status added = streams_.Add(id_, link_);
    if (!added.ok()) {
      link_->Close(added);
      return added;
    }
    loop_.Post([&groups = groups_, id = id_, link = link_] { groups.OnJoin(id, link); });
    StartRead();
    return absl::OkStatus();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      TellGone();
      return link_->OnReadEnd();
    }
    RankMessage arrived = std::exchange(buffer_, {});
    if (arrived.has_heartbeat()) return OnHeartbeat(std::move(arrived));
    // Handled when nobody holds it any more: a piece of a result, when it was written.
    std::shared_ptr<const RankMessage> message(new RankMessage(std::move(arrived)),
                                               [link = link_](const RankMessage* handled) {
                                                 delete handled;
                                                 link->OnHandled();
                                               });
    loop_.Post([&groups = groups_, id = id_, message = std::move(message)] {
      groups.OnMessage(id, *message, message);
    });
    link_->OnArrived();
  }

  void OnWriteDone(bool ok) override { link_->OnWritten(ok); }
  void OnCancel() override { link_->OnCancelled(); }
  void OnDone() override {
    link_->Detach();
    streams_.Remove(id_);
    TellGone();
    delete this;
  }

 private:
  void OnHeartbeat(RankMessage message) {
    if (streams_.MayAnswer()) link_->Send(BeatOf(message.heartbeat().epoch()));
    if (!link_->OnHeartbeat(std::move(message))) return;
    loop_.Post([&groups = groups_, id = id_, link = link_] {
      groups.OnMessage(id, link->TakeHeartbeat());
    });
  }

  // Behind all that it said. Twice is as good as once.
  void TellGone() {
    loop_.Post([&groups = groups_, id = id_] { groups.OnGone(id); });
  }

  void StartRead() override { Reactor::StartRead(&buffer_); }
  void StartWrite(const FrontendMessage& message) override { Reactor::StartWrite(&message); }
  void Finish(const absl::Status& why) override { Reactor::Finish(ToGrpc(why)); }
  void Cancel() override { context_->TryCancel(); }

  const RankId id_;
  grpc::CallbackServerContext* const context_;
  EventLoop& loop_;
  RankGroups& groups_;
  RankStreams& streams_;
  const std::shared_ptr<RankStreamLink> link_;
  RankMessage buffer_;
};

// Ends at once.
class RefusedStream final : public Reactor {
 public:
  explicit RefusedStream(const absl::Status& why) { Finish(ToGrpc(why)); }
  void OnDone() override { delete this; }
};

// Digests are compared, so that the time it takes tells nothing of the secret.
bool HasToken(const grpc::CallbackServerContext& context, const std::string& token_digest) {
  if (token_digest.empty()) return true;
  const std::optional<std::string> header = AuthorizationOf(context);
  const std::optional<std::string_view> token = BearerToken(header);
  return token.has_value() && Sha256Hex(*token) == token_digest;
}

}  // namespace

void RankControlService::Refuse(const grpc::CallbackServerContext& context,
                                const absl::Status& why) {
  parts_.metrics.api_ranks_refused_total.Increment({ErrorReason(why)});
  int times = 0;
  {
    MutexLock lock(mutex_);
    ++unlogged_;
    if (parts_.clock.Now() < next_line_) return;
    next_line_ = parts_.clock.Now() + kRefusalsInterval;
    times = std::exchange(unlogged_, 0);
  }
  Log(LogLevel::kWarning, "rank refused",
      {{"peer", context.peer()},
       {"times", absl::StrCat(times)},  // since the line before
       {"error", std::string(why.message())}});
}

Reactor* RankControlService::Join(grpc::CallbackServerContext* context) {
  if (!HasToken(*context, parts_.token_digest)) {
    const absl::Status why = MakeError(absl::StatusCode::kUnauthenticated, "RANK_CREDENTIALS",
                                       "the rank has not sent the group's token");
    Refuse(*context, why);
    return new RefusedStream(why);
  }
  auto* stream = new RankStream(++last_id_, context, parts_.loop, parts_.groups, streams_);
  const absl::Status begun = stream->Begin();
  if (!begun.ok()) Refuse(*context, begun);
  return stream;
}

}  // namespace cogwheel
