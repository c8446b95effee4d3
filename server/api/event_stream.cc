#include "server/api/event_stream.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "server/api/message_stream.h"
#include "server/api/raw_request.h"
#include "server/api/submit.h"
#include "server/streams/job_event_source.h"

namespace cogwheel {
namespace {

using Source = absl::StatusOr<std::unique_ptr<MessageSource>>;

Source Watched(const v1::WatchJobRequest& request, const std::string& tenant,
               const ApiParts& parts) {
  JobEventSource::Options options;
  options.after = std::max<int64_t>(request.after_sequence(), 0);
  options.include_video = request.include_video();
  options.hold = request.hold();
  return std::make_unique<JobEventSource>(
      JobEventSource::Parts{parts.store, parts.events, parts.holders}, options,
      [tenant, name = request.name(), &store = parts.store](const Answer<Job>& done) {
        done(FindJob(tenant, name, store));
      });
}

Source Generated(v1::GenerateRequest request, Submitter submitter, const ApiParts& parts) {
  submitter.hold = !request.detach();
  JobEventSource::Options options;
  options.include_video = true;
  options.end_with_job = true;
  options.hold = submitter.hold;
  return std::make_unique<JobEventSource>(
      JobEventSource::Parts{parts.store, parts.events, parts.holders}, options,
      [request = std::move(request), submitter, parts](Answer<Job> done) {
        Submit(request, submitter, parts,
               [done = std::move(done)](const absl::StatusOr<CreatedJob>& created) {
                 done(created.ok() ? absl::StatusOr<Job>(created->job) : created.status());
               });
      });
}

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeWatchStream(grpc::CallbackServerContext* context,
                                                            const grpc::ByteBuffer* request,
                                                            const ApiParts& parts) {
  // Whoever holds a job cancels it by leaving.
  const absl::Status holds = parts.access.Check(*context, "CancelJob").status();
  return MessageStream::Serve(
      "WatchJob", context, parts,
      [bytes = TakeRequest(request), holds, parts](const std::string& tenant) -> Source {
        v1::WatchJobRequest watch;
        const absl::Status parsed = ParseRequest(bytes, watch);
        if (!parsed.ok()) return parsed;
        if (watch.hold() && !holds.ok()) return holds;
        return Watched(watch, tenant, parts);
      });
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeGenerateStream(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* request,
                                                               const ApiParts& parts) {
  return MessageStream::Serve("Generate", context, parts,
                              [bytes = TakeRequest(request), trace_id = TraceIdOf(*context),
                               parts](const std::string& tenant) -> Source {
                                v1::GenerateRequest generate;
                                const absl::Status parsed = ParseRequest(bytes, generate);
                                if (!parsed.ok()) return parsed;
                                return Generated(std::move(generate), {tenant, trace_id}, parts);
                              });
}

}  // namespace cogwheel
