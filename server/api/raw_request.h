#pragma once

#include <absl/status/status.h>
#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

namespace cogwheel {

// Reads a request from the wire. gRPC itself would answer UNIMPLEMENTED to bytes it cannot parse;
// this is INVALID_ARGUMENT: it names the text field that is not valid UTF-8, or says that the
// message is malformed.
absl::Status ParseRequest(const grpc::ByteBuffer& bytes, google::protobuf::Message& request);

grpc::ByteBuffer ToBytes(const google::protobuf::Message& message);

}  // namespace cogwheel
