// In place of the NCCL communicator in a build without CUDA.
#include <stdexcept>

#include "worker/comm/nccl/nccl_communicator.h"

namespace cogwheel {

NcclWorld ConnectNcclWorld(std::unique_ptr<Communicator> /*hosts*/,
                           const NcclWorldOptions& /*options*/) {
  throw std::invalid_argument("built without CUDA");
}

std::string NcclVersion() { return ""; }

void ForbidNvlinkMulticast() {}

}  // namespace cogwheel
