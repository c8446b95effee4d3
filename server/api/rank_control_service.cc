#include "server/api/rank_control_service.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/mutex.h"
#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/api/bearer.h"

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::RankMessage;
using Reactor = grpc::ServerBidiReactor<RankMessage, FrontendMessage>;

constexpr size_t kMaxOutbox = 64;  // messages; a job is one
constexpr int kMaxUnhandled = 8;   // messages; 256 KiB when honest, what the port takes at most

// What both sides of a stream share. The reactor goes when gRPC is done with it; the link stays for
// those who hold it and then does nothing.
class StreamLink final : public RankLink {
 public:
  StreamLink(Reactor* reactor, grpc::CallbackServerContext* context)
      : reactor_(reactor), context_(context) {}

  void Send(const FrontendMessage& message) override COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (reactor_ == nullptr || closing_) return;
    if (outbox_.size() >= kMaxOutbox) return context_->TryCancel();
    outbox_.push_back(message);
    Advance();
  }

  void Close(const absl::Status& why) override COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (closing_) return;
    closing_ = true;
    why_ = why;
    Advance();
  }

  void OnWritten(bool ok) COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    writing_ = false;
    outbox_.pop_front();
    if (!ok) outbox_.clear();
    Advance();
  }

  // The rank has left or the call was cancelled: nothing more can be sent.
  void Abandon() COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    closing_ = true;
    if (!writing_) outbox_.clear();
    Advance();
  }

  // A message has been taken from `*buffer`: the next is read into it, at once or once enough of
  // the earlier ones are handled.
  void OnArrived(RankMessage* buffer) COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++unhandled_;
    paused_ = unhandled_ >= kMaxUnhandled;
    if (!paused_ && reactor_ != nullptr && !finished_) reactor_->StartRead(buffer);
  }

  void OnHandled(RankMessage* buffer) COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    --unhandled_;
    if (!paused_ || reactor_ == nullptr || finished_) return;
    paused_ = false;
    reactor_->StartRead(buffer);
  }

  void Detach() COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    reactor_ = nullptr;
  }

 private:
  // One write in flight; Finish once nothing is left to write. Called with the lock, so that no
  // write can start after Finish; gRPC calls back on threads of its own.
  void Advance() COGWHEEL_REQUIRES(mutex_) {
    if (reactor_ == nullptr || writing_ || finished_) return;
    if (!outbox_.empty()) {
      writing_ = true;
      return reactor_->StartWrite(&outbox_.front());
    }
    if (!closing_) return;
    finished_ = true;
    reactor_->Finish(ToGrpc(why_));
  }

  Mutex mutex_;
  Reactor* reactor_ COGWHEEL_GUARDED_BY(mutex_);
  grpc::CallbackServerContext* const context_;
  std::deque<FrontendMessage> outbox_ COGWHEEL_GUARDED_BY(mutex_);  // front is being written
  bool writing_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool closing_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool finished_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool paused_ COGWHEEL_GUARDED_BY(mutex_) = false;
  int unhandled_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  absl::Status why_ COGWHEEL_GUARDED_BY(mutex_);
};

class RankStream final : public Reactor {
 public:
  RankStream(RankId id, grpc::CallbackServerContext* context, EventLoop& loop, RankGroups& groups)
      : id_(id), loop_(loop), groups_(groups), link_(std::make_shared<StreamLink>(this, context)) {
    loop_.Post([&groups, id, link = link_] { groups.OnJoin(id, link); });
    StartRead(buffer_.get());
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Leave();
    // Handled when nobody holds it any more: a piece of a result, when it was written.
    std::shared_ptr<const RankMessage> message(
        new RankMessage(std::move(*buffer_)),
        [link = link_, buffer = buffer_](const RankMessage* handled) {
          delete handled;
          link->OnHandled(buffer.get());
        });
    buffer_->Clear();
    loop_.Post([&groups = groups_, id = id_, message = std::move(message)] {
      groups.OnMessage(id, *message, message);
    });
    link_->OnArrived(buffer_.get());
  }

  void OnWriteDone(bool ok) override { link_->OnWritten(ok); }
  void OnCancel() override { Leave(); }
  void OnDone() override {
    link_->Detach();
    delete this;
  }

 private:
  void Leave() {
    loop_.Post([&groups = groups_, id = id_] { groups.OnGone(id); });
    link_->Abandon();
  }

  const RankId id_;
  EventLoop& loop_;
  RankGroups& groups_;
  const std::shared_ptr<StreamLink> link_;
  const std::shared_ptr<RankMessage> buffer_ = std::make_shared<RankMessage>();
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

Reactor* RankControlService::Join(grpc::CallbackServerContext* context) {
  if (!HasToken(*context, token_digest_)) {
    return new RefusedStream(MakeError(absl::StatusCode::kUnauthenticated, "RANK_CREDENTIALS",
                                       "the rank has not sent the group's token"));
  }
  return new RankStream(++last_id_, context, loop_, groups_);
}

}  // namespace cogwheel
