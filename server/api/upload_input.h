#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/api/api_parts.h"

namespace cogwheel {

// UploadInput: each piece is written on the I/O pool before the next is read.
grpc::ServerReadReactor<grpc::ByteBuffer>* MakeUploadStream(grpc::CallbackServerContext* context,
                                                            grpc::ByteBuffer* response,
                                                            const ApiParts& parts);

}  // namespace cogwheel
