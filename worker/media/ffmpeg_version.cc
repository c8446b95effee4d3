#include "worker/media/ffmpeg_version.h"

extern "C" {
#include <libavutil/avutil.h>
}

namespace cogwheel {

std::string FfmpegVersion() { return av_version_info(); }

}  // namespace cogwheel
