#include "worker/pipeline/failure.h"

#include <algorithm>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string_view>

#include <c10/util/Exception.h>

#include "worker/comm/communicator.h"
#include "worker/pipeline/pipeline.h"
#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// Of our own, which has several lines only where a path has a line break.
std::string OneLine(std::string text) {
  std::ranges::replace(text, '\n', '?');
  return text;
}

// Libraries report exhausted memory by ordinary errors whose text is the only mark: the CPU
// allocator, CUDA, cuBLAS and cuDNN, the standard library's threads.
Failure Named(const std::string& message) {
  constexpr std::string_view kMarks[] = {"DefaultCPUAllocator", "out of memory", "ALLOC_FAILED",
                                         "Cannot allocate memory"};
  const bool memory = std::ranges::any_of(
      kMarks, [&](std::string_view mark) { return message.find(mark) != std::string::npos; });
  return {memory ? FailureKind::kOutOfMemory : FailureKind::kInternal, message};
}

}  // namespace

// The one place of the tensor world that catches: it only names what it caught.
Failure DescribeFailure(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const JobCancelled& cancelled) {
    return {FailureKind::kCancelled, cancelled.what(), cancelled.stop};
  } catch (const NotFinite& values) {
    return {FailureKind::kNotFinite, values.what()};
  } catch (const CommError& lost) {
    // Between ranks it travels as text: the words of step_agreement.cc and
    // worker/journal/lockstep.cc.
    const std::string message = FirstLine(lost.what());
    const bool out_of_step = message.find("out of step") != std::string::npos;
    return {out_of_step ? FailureKind::kOutOfStep : FailureKind::kComm, message};
  } catch (const WorkAbandoned& abandoned) {
    return {.kind = FailureKind::kOutOfMemory, .message = abandoned.what(), .heard = true};
  } catch (const c10::OutOfMemoryError& memory) {
    return {FailureKind::kOutOfMemory, FirstLine(memory.what_without_backtrace())};
  } catch (const std::bad_alloc&) {
    return {FailureKind::kOutOfMemory, "no memory was left for an allocation"};
  } catch (const std::invalid_argument& invalid) {
    return {FailureKind::kInvalid, OneLine(invalid.what())};
  } catch (const ReadError& unread) {
    return {FailureKind::kIo, OneLine(unread.what())};
  } catch (const std::filesystem::filesystem_error& failed) {
    return {IsWrongPath(failed.code()) ? FailureKind::kInvalid : FailureKind::kIo,
            OneLine(failed.what())};
  } catch (const c10::Error& broken) {
    return Named(FirstLine(broken.what_without_backtrace()));
  } catch (const std::exception& other) {
    return Named(FirstLine(other.what()));
  } catch (...) {
    return {FailureKind::kInternal, "an exception of unknown type"};
  }
}

}  // namespace cogwheel
