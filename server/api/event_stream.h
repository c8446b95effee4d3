#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "server/api/api_parts.h"

// The streams of WatchJob and Generate.
namespace cogwheel {

// A job's events from after the request's after_sequence to the terminal one; then OK.
grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeWatchStream(grpc::CallbackServerContext* context,
                                                            const grpc::ByteBuffer* request,
                                                            const ApiParts& parts);

// Submits, then all events with the video; then the job's error as status. Holds its job unless
// `detach`.
grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeGenerateStream(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* request,
                                                               const ApiParts& parts);

}  // namespace cogwheel
