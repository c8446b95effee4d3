#pragma once

#include "server/api/api_parts.h"

namespace grpc {
class CallbackServerContext;
template <class Response>
class ServerWriteReactor;
}  // namespace grpc

// The reactors of WatchJob and Generate.
namespace cogwheel {

// A job's events from after `request.after_sequence` to the terminal one; then OK.
grpc::ServerWriteReactor<v1::JobEvent>* MakeWatchStream(grpc::CallbackServerContext* context,
                                                        const v1::WatchJobRequest& request,
                                                        const ApiParts& parts);

// Submits, then all events with the video; then the job's error as status. When the last caller of
// a job without `detach` goes away, the job is cancelled.
grpc::ServerWriteReactor<v1::JobEvent>* MakeGenerateStream(grpc::CallbackServerContext* context,
                                                           const v1::GenerateRequest& request,
                                                           const ApiParts& parts);

}  // namespace cogwheel
