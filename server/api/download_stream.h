#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/api/api_parts.h"

namespace cogwheel {

// The stream of DownloadVideo: the result from the request's offset in pieces.
grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeDownloadStream(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* request,
                                                               const ApiParts& parts);

}  // namespace cogwheel
