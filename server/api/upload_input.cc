#include "server/api/upload_input.h"

#include <memory>
#include <optional>
#include <utility>

#include "proto/contract/status.h"
#include "server/api/bearer.h"
#include "server/api/raw_request.h"
#include "server/api/rpc_call.h"
#include "server/streams/read_pace.h"

namespace cogwheel {
namespace {

// gRPC's part of an upload. Deleted by gRPC's OnDone alone, which comes after Finish: work on a
// piece, which Finish waits for, finds it here.
class UploadStream final : public grpc::ServerReadReactor<grpc::ByteBuffer>, public ReadWire {
 public:
  UploadStream(grpc::CallbackServerContext* context, grpc::ByteBuffer* response,
               const ApiParts& parts)
      : parts_(parts),
        call_("UploadInput", *context, parts),
        context_(context),
        response_(response),
        pace_(std::make_shared<ReadPace>(
            ReadPace::Parts{*this, parts.io, parts.clock, call_.tenant().value_or("")})) {
    const absl::Status begun = Start();
    begun.ok() ? pace_->Begin() : pace_->Close(begun, /*more=*/0);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return pace_->OnNoMessage(Unfinished());
    pace_->OnMessage([this](const ReadPace::Answered& done) { Take(done); });
  }
  void OnCancel() override { pace_->OnCancelled(); }
  void OnDone() override {
    parts_.streams.Remove(pace_.get());
    pace_->OnOver();
    delete this;
  }

  void Read() override { StartRead(&bytes_); }
  void Finish(const absl::Status& status) override {
    grpc::ServerReadReactor<grpc::ByteBuffer>::Finish(call_.End(status));
  }
  void CancelCall() override { context_->TryCancel(); }

 private:
  absl::Status Start() {
    if (!call_.tenant().ok()) return call_.tenant().status();
    upload_ = parts_.inputs.Begin(*call_.tenant());
    return parts_.streams.Add(pace_, {*call_.tenant(), AuthorizationOf(*context_), call_.method()});
  }

  static absl::Status Unfinished() {
    return MakeInvalidArgument(
        "INPUT", {{"last", "last is true of no piece; legal is an upload that ends with one"}});
  }

  void Take(const ReadPace::Answered& done) {
    v1::Chunk piece;
    grpc::ByteBuffer bytes;
    bytes.Swap(&bytes_);
    absl::Status taken = ParseRequest(std::move(bytes), piece);
    if (taken.ok()) taken = upload_->Take(piece);
    if (!taken.ok()) {
      upload_.reset();  // gone before the caller hears of it
      return done(taken);
    }
    if (!upload_->complete()) return done(std::nullopt);
    upload_->Keep([this, done](const absl::StatusOr<v1::Input>& kept) {
      if (kept.ok()) *response_ = ToBytes(kept->SerializeAsString());
      done(kept.status());
    });
  }

  const ApiParts parts_;
  const RpcCall call_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const response_;
  std::unique_ptr<Upload> upload_;
  grpc::ByteBuffer bytes_;  // that were read, until they are taken
  const std::shared_ptr<ReadPace> pace_;
};

}  // namespace

grpc::ServerReadReactor<grpc::ByteBuffer>* MakeUploadStream(grpc::CallbackServerContext* context,
                                                            grpc::ByteBuffer* response,
                                                            const ApiParts& parts) {
  return new UploadStream(context, response, parts);
}

}  // namespace cogwheel
