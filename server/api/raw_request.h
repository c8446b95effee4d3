#pragma once

#include <string>

#include <absl/status/status.h>
#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

namespace cogwheel {

// Reads a request from the wire. gRPC itself would answer UNIMPLEMENTED to bytes it cannot parse;
// this is INVALID_ARGUMENT: it names the text field that is not valid UTF-8, or says that the
// message is malformed.
absl::Status ParseRequest(grpc::ByteBuffer bytes, google::protobuf::Message& request);

// The request's bytes, out of gRPC's hands: it would keep them until the call's end, which for a
// stream may be hours, and they count against the memory for what arrives.
grpc::ByteBuffer TakeRequest(const grpc::ByteBuffer* request);

// Without a copy.
grpc::ByteBuffer ToBytes(std::string message);

}  // namespace cogwheel
