#pragma once

#include <memory>
#include <string>

#include <absl/status/status.h>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

// FFmpeg's objects as unique_ptr, and its error numbers as status.
namespace cogwheel {

struct AvDeleter {
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
  void operator()(AVFormatContext* format) const {
    if (format->pb != nullptr) {
      av_freep(&format->pb->buffer);
      avio_context_free(&format->pb);
    }
    avformat_free_context(format);
  }
};
using CodecHandle = std::unique_ptr<AVCodecContext, AvDeleter>;
using FrameHandle = std::unique_ptr<AVFrame, AvDeleter>;
using PacketHandle = std::unique_ptr<AVPacket, AvDeleter>;
using ScalerHandle = std::unique_ptr<SwsContext, AvDeleter>;
using FormatHandle = std::unique_ptr<AVFormatContext, AvDeleter>;

// "what: <FFmpeg's text>"; OK for code >= 0.
absl::Status AvStatus(int code, absl::StatusCode kind, const std::string& what);

// FFmpeg writes to stderr by itself otherwise; ours are JSON lines.
void SilenceFfmpeg();

}  // namespace cogwheel
