#pragma once

#include <string>
#include <vector>

#include "grpc/reflection/v1/reflection.grpc.pb.h"

namespace cogwheel {

// grpc.reflection.v1, which newer clients ask for first; the packaged gRPC serves v1alpha only.
// Answers from the descriptors that are linked into the program.
class ReflectionService final : public grpc::reflection::v1::ServerReflection::CallbackService {
 public:
  // `services`: full names of what is served beside it. What every server serves is added: health
  // and reflection itself.
  explicit ReflectionService(std::vector<std::string> services);

  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;
  grpc::ServerBidiReactor<Request, Response>* ServerReflectionInfo(
      grpc::CallbackServerContext* context) override;
  Response Answer(const Request& request) const;

 private:
  std::vector<std::string> services_;  // sorted
};

}  // namespace cogwheel
