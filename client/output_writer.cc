#include "client/output_writer.h"

#include <unistd.h>

#include "client/output_name.h"
#include "client/pipe_writer.h"
#include "client/video_writer.h"

namespace cogwheel {

absl::StatusOr<std::unique_ptr<OutputWriter>> OutputWriter::Create(const std::string& output) {
  if (output == kStandardOutput) return PipeWriter::Create(STDOUT_FILENO);
  return VideoWriter::Create(output);
}

}  // namespace cogwheel
