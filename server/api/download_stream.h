#pragma once

#include "server/api/api_parts.h"

namespace grpc {
class CallbackServerContext;
template <class Response>
class ServerWriteReactor;
}  // namespace grpc

namespace cogwheel {

// The reactor of DownloadVideo: the result from `request.offset` in pieces, the digest on the last.
// DATA_LOSS when what is read from the start does not have the digest that was stored.
grpc::ServerWriteReactor<v1::Chunk>* MakeDownloadStream(grpc::CallbackServerContext* context,
                                                        const v1::DownloadVideoRequest& request,
                                                        const ApiParts& parts);

}  // namespace cogwheel
