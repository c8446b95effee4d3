#pragma once

#include <functional>
#include <memory>
#include <string>

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/api/api_parts.h"
#include "server/api/rpc_call.h"
#include "server/streams/message_source.h"
#include "server/streams/stream_pace.h"

namespace cogwheel {

// gRPC's part of every server stream: admits the call, hands messages over and tells its
// StreamPace what gRPC said. Deleted by gRPC's OnDone alone.
class MessageStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer>, public StreamWire {
 public:
  // What the stream sends, or why it sends nothing. Called on the I/O pool.
  using Open =
      std::function<absl::StatusOr<std::unique_ptr<MessageSource>>(const std::string& tenant)>;
  static MessageStream* Serve(const char* method, grpc::CallbackServerContext* context,
                              const ApiParts& parts, Open open);

  void OnWriteDone(bool ok) override { pace_->OnWritten(ok); }
  void OnCancel() override { pace_->OnCancelled(); }
  void OnDone() override;

  void Write(std::string message) override;
  void Finish(const absl::Status& status) override;
  void CancelCall() override { context_->TryCancel(); }

 private:
  MessageStream(const char* method, grpc::CallbackServerContext* context, const ApiParts& parts);
  absl::Status Begin(Open open);

  const ApiParts parts_;
  const RpcCall call_;
  grpc::CallbackServerContext* const context_;
  const std::shared_ptr<StreamPace> pace_;
  grpc::ByteBuffer bytes_;  // being written
};

}  // namespace cogwheel
