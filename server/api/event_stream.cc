#include "server/api/event_stream.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/api/message_writer.h"
#include "server/api/raw_request.h"
#include "server/api/submit.h"
#include "server/events/job_event.h"

namespace cogwheel {
namespace {

class EventStream;

// Outlives its stream for as long as the event log holds it.
class Waker final : public EventWatcher {
 public:
  explicit Waker(EventStream* stream) : stream_(stream) {}
  void OnEvents() override COGWHEEL_EXCLUDES(mutex_);
  void Detach() COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    stream_ = nullptr;
  }

 private:
  Mutex mutex_;
  EventStream* stream_ COGWHEEL_GUARDED_BY(mutex_);
};

class EventStream final : public MessageWriter<v1::JobEvent> {
 public:
  struct Options {
    bool include_video = false;
    bool end_with_job = false;  // the job's error is the stream's status
    bool cancel_when_gone = false;
  };
  EventStream(const char* method, grpc::CallbackServerContext* context, Options options,
              const ApiParts& parts)
      : MessageWriter(method, context, parts), options_(options) {}

  void Follow(const std::string& job, int64_t after) COGWHEEL_EXCLUDES(mutex_) {
    if (options_.cancel_when_gone) parts_.streams.Hold(job);
    {
      MutexLock lock(mutex_);
      job_ = job;
      after_ = after;
    }
    parts_.events.Watch(job, waker_);  // before the first look: no event falls between
    Wake();
  }

  void Wake() COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (!job_.empty()) Advance();
  }

 private:
  bool Next(v1::JobEvent& event) override COGWHEEL_REQUIRES(mutex_);
  bool NextFromStore(v1::JobEvent& event) COGWHEEL_REQUIRES(mutex_);
  bool Snapshot(int64_t sequence, v1::JobEvent& event) COGWHEEL_REQUIRES(mutex_);
  bool FillChunk(const EventLog::Next& next, v1::JobEvent& event) COGWHEEL_REQUIRES(mutex_);
  void EndWithJob() COGWHEEL_REQUIRES(mutex_);
  void OnOver() override;

  const Options options_;
  const std::shared_ptr<Waker> waker_ = std::make_shared<Waker>(this);
  std::string job_ COGWHEEL_GUARDED_BY(mutex_);  // empty until it is known
  int64_t after_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  bool told_from_store_ COGWHEEL_GUARDED_BY(mutex_) = false;
};

// OK, or a finished job's error.
absl::Status StatusOf(const Job& job) {
  if (job.error.code == absl::StatusCode::kOk) return absl::OkStatus();
  return MakeError(job.error.code, job.error.reason, job.name + ": " + job.error.message);
}

// The lock keeps the stream from going while it is woken; OnDone waits for it in Detach.
void Waker::OnEvents() {
  MutexLock lock(mutex_);
  if (stream_ != nullptr) stream_->Wake();
}

bool EventStream::Next(v1::JobEvent& event) {
  if (job_.empty()) return false;
  EventLog::Next next = parts_.events.ReadAfter(job_, after_, options_.include_video);
  switch (next.found) {
    case EventLog::Found::kNothing:
      after_ = std::max(after_, next.sequence);  // chunks it does not get may be dropped unseen
      return false;
    case EventLog::Found::kUnknown:
      return NextFromStore(event);
    case EventLog::Found::kGap:
      after_ = next.sequence;
      return Snapshot(next.sequence, event);
    case EventLog::Found::kEnd:
      EndWithJob();
      return false;
    case EventLog::Found::kEvent:
      break;
  }
  after_ = next.sequence;
  event = std::move(next.event);
  return !event.has_chunk() || FillChunk(next, event);
}

bool EventStream::FillChunk(const EventLog::Next& next, v1::JobEvent& event) {
  absl::StatusOr<std::string> bytes = next.data->Read(event.chunk().offset(), next.chunk_bytes);
  if (!bytes.ok()) {
    End(bytes.status());
    return false;
  }
  event.mutable_chunk()->set_data(*std::move(bytes));
  return true;
}

bool EventStream::Snapshot(int64_t sequence, v1::JobEvent& event) {
  const absl::StatusOr<Job> job = parts_.store.Get(*tenant(), job_);
  if (!job.ok()) {
    End(job.status());
    return false;
  }
  event = SnapshotEvent(*job, sequence);
  parts_.events.Describe(*event.mutable_snapshot());
  return true;
}

// The log has forgotten the job, so it has ended: a snapshot, then its last event.
bool EventStream::NextFromStore(v1::JobEvent& event) {
  const absl::StatusOr<Job> job = parts_.store.Get(*tenant(), job_);
  if (!job.ok()) {
    End(job.status());
    return false;
  }
  if (!IsTerminal(job->state)) {
    End(MakeError(absl::StatusCode::kUnavailable, "EVENTS",
                  absl::StrCat("the events of ", job_, " are not available now")));
    return false;
  }
  if (after_ >= job->last_sequence) {
    EndWithJob();
    return false;
  }
  if (std::exchange(told_from_store_, true)) {
    after_ = job->last_sequence;
    event = TerminalEvent(*job);
  } else {
    event = SnapshotEvent(*job, job->last_sequence - 1);
  }
  return true;
}

void EventStream::EndWithJob() {
  if (!options_.end_with_job) return End(absl::OkStatus());
  const absl::StatusOr<Job> job = parts_.store.Get(*tenant(), job_);
  End(job.ok() ? StatusOf(*job) : job.status());
}

void EventStream::OnOver() {
  waker_->Detach();
  std::string job;
  bool caller_gone = false;
  {
    MutexLock lock(mutex_);
    job = job_;
    caller_gone = this->caller_gone();
  }
  if (job.empty()) return;
  parts_.events.Unwatch(job, waker_.get());
  if (options_.cancel_when_gone && parts_.streams.LetGo(job) && caller_gone) {
    parts_.dispatcher.Cancel(*tenant(), job, [](const absl::StatusOr<Job>&) {});
  }
}

absl::StatusOr<Job> FindJob(const std::string& tenant, const std::string& given,
                            const JobStore& store) {
  const absl::StatusOr<std::string> name = NormalizeJobName(given);
  if (!name.ok()) return name.status();
  return store.Get(tenant, *name);
}

// False when nothing will come of the stream: it ends with why.
bool Admit(EventStream& stream, const absl::Status& parsed) {
  const absl::Status status = parsed.ok() ? stream.tenant().status() : parsed;
  if (!status.ok()) stream.Close(status);
  return status.ok();
}

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeWatchStream(grpc::CallbackServerContext* context,
                                                            const grpc::ByteBuffer& bytes,
                                                            const ApiParts& parts) {
  v1::WatchJobRequest request;
  const absl::Status parsed = ParseRequest(bytes, request);
  auto* stream =
      new EventStream("WatchJob", context, {.include_video = request.include_video()}, parts);
  if (!Admit(*stream, parsed)) return stream;
  const absl::StatusOr<Job> job = FindJob(*stream->tenant(), request.name(), parts.store);
  if (job.ok()) {
    stream->Follow(job->name, std::max<int64_t>(request.after_sequence(), 0));
  } else {
    stream->Close(job.status());
  }
  return stream;
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeGenerateStream(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer& bytes,
                                                               const ApiParts& parts) {
  v1::GenerateRequest request;
  const absl::Status parsed = ParseRequest(bytes, request);
  auto* stream = new EventStream(
      "Generate", context,
      {.include_video = true, .end_with_job = true, .cancel_when_gone = !request.detach()}, parts);
  if (!Admit(*stream, parsed)) return stream;
  stream->Pin();
  Submit(request, stream->call(), parts, [stream](const absl::StatusOr<CreatedJob>& created) {
    if (created.ok()) {
      stream->Follow(created->job.name, /*after=*/0);
    } else {
      stream->Close(created.status());
    }
    stream->Unpin();
  });
  return stream;
}

}  // namespace cogwheel
