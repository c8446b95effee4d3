#include "worker/media/jpeg_encoder.h"

#include <absl/strings/str_cat.h>

#include "worker/media/av_handles.h"

namespace cogwheel {
namespace {

constexpr int kQuality = 3;  // of 1 (best) to 31

absl::Status Check(int code, const char* what) {
  return AvStatus(code, absl::StatusCode::kInternal, what);
}

absl::StatusOr<CodecHandle> OpenJpeg(int height, int width) {
  const AVCodec* encoder = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
  if (encoder == nullptr) return absl::InternalError("FFmpeg was built without a JPEG encoder");
  CodecHandle codec(avcodec_alloc_context3(encoder));
  codec->width = width;
  codec->height = height;
  codec->time_base = {1, 1};
  codec->pix_fmt = AV_PIX_FMT_YUVJ444P;
  codec->color_range = AVCOL_RANGE_JPEG;
  codec->thread_count = 1;
  codec->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
  codec->global_quality = FF_QP2LAMBDA * kQuality;
  const absl::Status status = Check(avcodec_open2(codec.get(), encoder, nullptr), "JPEG encoder");
  if (!status.ok()) return status;
  return codec;
}

}  // namespace

absl::StatusOr<std::string> EncodeJpeg(std::span<const uint8_t> rgb, int height, int width) {
  SilenceFfmpeg();
  if (height < 1 || width < 1 || rgb.size() != static_cast<size_t>(height) * width * 3) {
    return absl::InternalError(
        absl::StrCat("a picture of ", rgb.size(), " bytes for ", width, "x", height));
  }
  absl::StatusOr<CodecHandle> codec = OpenJpeg(height, width);
  if (!codec.ok()) return codec.status();
  const ScalerHandle scaler(sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height,
                                           AV_PIX_FMT_YUVJ444P, SWS_BICUBIC | SWS_BITEXACT, nullptr,
                                           nullptr, nullptr));
  const FrameHandle frame(av_frame_alloc());
  frame->format = AV_PIX_FMT_YUVJ444P;
  frame->width = width;
  frame->height = height;
  frame->quality = (*codec)->global_quality;
  absl::Status status = Check(av_frame_get_buffer(frame.get(), 0), "JPEG picture");
  if (!status.ok()) return status;
  const uint8_t* rows[] = {rgb.data()};
  const int strides[] = {width * 3};
  sws_scale(scaler.get(), rows, strides, 0, height, frame->data, frame->linesize);
  const PacketHandle packet(av_packet_alloc());
  status = Check(avcodec_send_frame(codec->get(), frame.get()), "JPEG encoder");
  if (status.ok())
    status = Check(avcodec_receive_packet(codec->get(), packet.get()), "JPEG encoder");
  if (!status.ok()) return status;
  return std::string(reinterpret_cast<const char*>(packet->data), packet->size);
}

}  // namespace cogwheel
