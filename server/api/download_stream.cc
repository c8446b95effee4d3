#include "server/api/download_stream.h"

#include <memory>
#include <string>

#include "base/log.h"
#include "server/api/message_stream.h"
#include "server/api/raw_request.h"
#include "server/streams/download_source.h"

namespace cogwheel {

grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeDownloadStream(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* request,
                                                               const ApiParts& parts) {
  return MessageStream::Serve(
      "DownloadVideo", context, parts,
      [bytes = TakeRequest(request),
       parts](const std::string& tenant) -> absl::StatusOr<std::unique_ptr<MessageSource>> {
        v1::DownloadVideoRequest download;
        const absl::Status parsed = ParseRequest(bytes, download);
        if (!parsed.ok()) return parsed;
        const auto on_damage = [&metrics = parts.metrics](const Artefact& result) {
          Log(LogLevel::kError, "a stored result is damaged", {{"sha256", result.sha256}});
          metrics.store_checksum_failures_total.Increment();
        };
        return std::make_unique<DownloadSource>(
            DownloadSource::Parts{parts.store, parts.results, on_damage},
            DownloadSource::Wanted{tenant, download.name(), download.offset()});
      });
}

}  // namespace cogwheel
