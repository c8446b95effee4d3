#pragma once

#include <exception>
#include <string>

// Names the kind of an exception from the tensor world, so that rank/guard.cc can map it without
// seeing torch.
namespace cogwheel {

enum class FailureKind {
  kInvalid,  // std::invalid_argument, or no such path: the job or checkpoint is wrong
  kIo,       // ReadError, std::filesystem::filesystem_error: a disk failed; later it may be well
  kOutOfMemory,  // c10::OutOfMemoryError, std::bad_alloc; WorkAbandoned: another rank's
  kComm,         // CommError: the group is lost
  kOutOfStep,    // CommError too: ranks stood at different points of the program
  kNotFinite,    // NotFinite: agreed by all ranks, which have left the job together
  kCancelled,    // JobCancelled
  kInternal,     // everything else: a bug
};

struct Failure {
  FailureKind kind = FailureKind::kInternal;
  std::string message;    // first line only
  bool stopping = false;  // kCancelled because the group goes away
  bool heard = false;     // kOutOfMemory of another rank, by WorkAbandoned
};

Failure DescribeFailure(const std::exception_ptr& error);

}  // namespace cogwheel
