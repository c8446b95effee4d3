#include "server/api/message_stream.h"

#include <utility>

#include "server/api/bearer.h"
#include "server/api/pool_call.h"
#include "server/api/raw_request.h"

namespace cogwheel {

MessageStream* MessageStream::Serve(const char* method, grpc::CallbackServerContext* context,
                                    const ApiParts& parts, Open open) {
  auto* stream = new MessageStream(method, context, parts);
  const std::shared_ptr<StreamPace> pace = stream->pace_;
  const absl::Status begun = stream->Begin(std::move(open));
  if (!begun.ok()) pace->Close(begun, /*more=*/0);
  return stream;
}

MessageStream::MessageStream(const char* method, grpc::CallbackServerContext* context,
                             const ApiParts& parts)
    : parts_(parts),
      call_(method, *context, parts),
      context_(context),
      pace_(std::make_shared<StreamPace>(
          StreamPace::Parts{*this, parts.io, parts.clock, call_.tenant().value_or("")})) {}

absl::Status MessageStream::Begin(Open open) {
  if (!call_.tenant().ok()) return call_.tenant().status();
  const absl::Status added =
      parts_.streams.Add(pace_, {*call_.tenant(), AuthorizationOf(*context_), call_.method()});
  if (!added.ok()) return added;
  const bool posted = parts_.io.TryPost(
      *call_.tenant(), [pace = pace_, tenant = *call_.tenant(), open = std::move(open)] {
        auto source = open(tenant);
        if (source.ok()) return pace->Begin(*std::move(source));
        pace->Close(source.status(), /*more=*/0);
      });
  return posted ? absl::OkStatus() : Busy();
}

void MessageStream::OnDone() {
  parts_.streams.Remove(pace_.get());
  pace_->OnOver();
  delete this;
}

void MessageStream::Write(std::string message) {
  bytes_ = ToBytes(std::move(message));
  parts_.metrics.api_sent_bytes_total.Increment({call_.method()},
                                                static_cast<double>(bytes_.Length()));
  StartWrite(&bytes_);
}

void MessageStream::Finish(const absl::Status& status) {
  grpc::ServerWriteReactor<grpc::ByteBuffer>::Finish(call_.End(status));
}

}  // namespace cogwheel
