#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/api/api_parts.h"

namespace cogwheel {

// The reactor of DownloadVideo: the result from the request's offset in pieces, the digest on the
// last. DATA_LOSS when what is read from the start does not have the digest that was stored.
grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeDownloadStream(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer& bytes,
                                                               const ApiParts& parts);

}  // namespace cogwheel
