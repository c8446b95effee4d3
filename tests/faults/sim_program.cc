#include <new>
#include <stdexcept>

#include "worker/comm/communicator.h"
#include "worker/pipeline/failure.h"
#include "worker/pipeline/pipeline.h"
#include "worker/version.h"

// What the rank program needs of the tensor world besides a pipeline, without torch.
namespace cogwheel {

Failure DescribeFailure(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const JobCancelled& cancelled) {
    return {FailureKind::kCancelled, cancelled.what(), cancelled.stop};
  } catch (const CommError& lost) {
    return {FailureKind::kComm, lost.what()};
  } catch (const WorkAbandoned& abandoned) {
    return {.kind = FailureKind::kOutOfMemory, .message = abandoned.what(), .heard = true};
  } catch (const std::bad_alloc&) {
    return {FailureKind::kOutOfMemory, "no memory was left for an allocation"};
  } catch (const std::invalid_argument& invalid) {
    return {FailureKind::kInvalid, invalid.what()};
  } catch (const std::exception& other) {
    return {FailureKind::kInternal, other.what()};
  }
}

std::string VersionText() { return "cogwheel-sim-worker " COGWHEEL_VERSION; }

}  // namespace cogwheel
