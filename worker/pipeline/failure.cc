#include "worker/pipeline/failure.h"

#include <filesystem>
#include <new>
#include <stdexcept>

#include <c10/util/Exception.h>

#include "worker/comm/communicator.h"
#include "worker/pipeline/pipeline.h"
#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

// The one place of the tensor world that catches: it only names what it caught.
Failure DescribeFailure(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const JobCancelled& cancelled) {
    return {FailureKind::kCancelled, cancelled.what(), cancelled.stop};
  } catch (const CommError& lost) {
    // Between ranks it travels as text: the words of step_agreement.cc and
    // worker/journal/lockstep.cc.
    const std::string message = FirstLine(lost.what());
    const bool out_of_step = message.find("out of step") != std::string::npos;
    return {out_of_step ? FailureKind::kOutOfStep : FailureKind::kComm, message};
  } catch (const c10::OutOfMemoryError& memory) {
    return {FailureKind::kOutOfMemory, FirstLine(memory.what_without_backtrace())};
  } catch (const std::bad_alloc&) {
    return {FailureKind::kOutOfMemory, "out of memory"};
  } catch (const std::invalid_argument& invalid) {
    return {FailureKind::kInvalid, FirstLine(invalid.what())};
  } catch (const ReadError& unread) {
    return {FailureKind::kIo, FirstLine(unread.what())};
  } catch (const std::filesystem::filesystem_error& failed) {
    return {IsWrongPath(failed.code()) ? FailureKind::kInvalid : FailureKind::kIo,
            FirstLine(failed.what())};
  } catch (const c10::Error& broken) {
    // The CPU allocator reports exhaustion by an ordinary check whose text is the only mark.
    const std::string message = FirstLine(broken.what_without_backtrace());
    const bool memory = message.find("DefaultCPUAllocator") != std::string::npos;
    return {memory ? FailureKind::kOutOfMemory : FailureKind::kInternal, message};
  } catch (const std::exception& other) {
    return {FailureKind::kInternal, FirstLine(other.what())};
  } catch (...) {
    return {FailureKind::kInternal, "an exception of unknown type"};
  }
}

}  // namespace cogwheel
