#pragma once

#include <cstdint>
#include <string>

#include <absl/status/statusor.h>

namespace cogwheel {

// The head of a fragmented MP4 (ftyp and moov) with the duration of the whole clip, which FFmpeg's
// muxer leaves at nought: in mvhd, tkhd, mdhd, and in a mehd (ISO/IEC 14496-12, 8.8.2). INTERNAL
// for a head that is not as that muxer writes it.
absl::StatusOr<std::string> WithDuration(std::string header, int64_t frames, int fps);

}  // namespace cogwheel
