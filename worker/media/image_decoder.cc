#include "worker/media/image_decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/validate.h"
#include "worker/media/av_handles.h"
#include "worker/media/image_container.h"

namespace cogwheel {
namespace {

constexpr int kChannels = 3;

absl::Status Damaged(const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("image is damaged: ", why));
}

absl::StatusOr<FrameHandle> DecodeFrame(const std::string& bytes, const ImageSize& size) {
  const bool png = bytes.front() != '\xff';
  const AVCodec* decoder = avcodec_find_decoder(png ? AV_CODEC_ID_PNG : AV_CODEC_ID_MJPEG);
  if (decoder == nullptr) return absl::InternalError("FFmpeg was built without image decoders");
  const CodecHandle codec(avcodec_alloc_context3(decoder));
  codec->thread_count = 1;
  codec->max_pixels = kMaxImagePixels;
  codec->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
  absl::Status status =
      AvStatus(avcodec_open2(codec.get(), decoder, nullptr), absl::StatusCode::kInternal, "image");
  if (!status.ok()) return status;
  const PacketHandle packet(av_packet_alloc());
  if (av_new_packet(packet.get(), static_cast<int>(bytes.size())) < 0) {
    return absl::ResourceExhaustedError("image: out of memory");
  }
  std::memcpy(packet->data, bytes.data(), bytes.size());
  FrameHandle frame(av_frame_alloc());
  int code = avcodec_send_packet(codec.get(), packet.get());
  if (code >= 0) code = avcodec_receive_frame(codec.get(), frame.get());
  status = AvStatus(code, absl::StatusCode::kInvalidArgument, "image is damaged");
  if (!status.ok()) return status;
  if (frame->width != size.width || frame->height != size.height) {
    return Damaged(absl::StrCat("its header says ", size.width, "x", size.height, ", its data are ",
                                frame->width, "x", frame->height));
  }
  return frame;
}

// Where the three bytes of pixel x stand in a row of a packed format, or its grey value.
struct PackedFormat {
  AVPixelFormat format;
  int pixel_bytes;
  int channel_step;  // 0: grey
};
constexpr PackedFormat kPacked[] = {
    {AV_PIX_FMT_RGB24, 3, 1},    {AV_PIX_FMT_RGBA, 4, 1},  {AV_PIX_FMT_RGB48BE, 6, 2},
    {AV_PIX_FMT_RGBA64BE, 8, 2}, {AV_PIX_FMT_GRAY8, 1, 0}, {AV_PIX_FMT_YA8, 2, 0},
    {AV_PIX_FMT_YA16BE, 4, 0},
};

void CopyPacked(const PackedFormat& packed, const uint8_t* row, int width, uint8_t* out) {
  for (int x = 0; x < width; ++x) {
    for (int channel = 0; channel < kChannels; ++channel) {
      *out++ = row[x * packed.pixel_bytes + channel * packed.channel_step];
    }
  }
}

void CopyGrey16(const uint8_t* row, int width, uint8_t* out) {
  for (int x = 0; x < width; ++x) {
    const int value = row[2 * x] << 8 | row[2 * x + 1];
    out = std::fill_n(out, kChannels, static_cast<uint8_t>(std::min(value, 255)));
  }
}

void CopyPalette(const uint8_t* row, const uint8_t* palette, int width, uint8_t* out) {
  for (int x = 0; x < width; ++x) {
    uint32_t argb = 0;
    std::memcpy(&argb, palette + 4 * row[x], sizeof(argb));
    for (const int shift : {16, 8, 0}) *out++ = static_cast<uint8_t>(argb >> shift);
  }
}

void CopyBits(const uint8_t* row, int width, uint8_t* out) {
  for (int x = 0; x < width; ++x) {
    out = std::fill_n(out, kChannels, row[x / 8] >> (7 - x % 8) & 1 ? 255 : 0);
  }
}

// False for a format that is not one of PNG's.
bool CopyRow(const AVFrame& frame, int y, uint8_t* out) {
  const uint8_t* row = frame.data[0] + static_cast<ptrdiff_t>(y) * frame.linesize[0];
  switch (frame.format) {
    case AV_PIX_FMT_GRAY16BE:
      CopyGrey16(row, frame.width, out);
      return true;
    case AV_PIX_FMT_PAL8:
      CopyPalette(row, frame.data[1], frame.width, out);
      return true;
    case AV_PIX_FMT_MONOBLACK:
      CopyBits(row, frame.width, out);
      return true;
    default:
      break;
  }
  for (const PackedFormat& packed : kPacked) {
    if (packed.format != frame.format) continue;
    CopyPacked(packed, row, frame.width, out);
    return true;
  }
  return false;
}

// JPEG's planar formats.
absl::Status Convert(const AVFrame& frame, std::vector<uint8_t>& rgb) {
  const ScalerHandle scaler(sws_getContext(
      frame.width, frame.height, static_cast<AVPixelFormat>(frame.format), frame.width,
      frame.height, AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr,
      nullptr, nullptr));
  if (scaler == nullptr) return Damaged("its pixel format is not supported");
  uint8_t* rows[] = {rgb.data()};
  const int strides[] = {frame.width * kChannels};
  sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, rows, strides);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecodedImage> DecodeImage(const std::string& bytes) {
  SilenceFfmpeg();
  if (bytes.size() > kMaxImageBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("image has ", bytes.size(), " bytes; at most ", kMaxImageBytes, " are legal"));
  }
  const absl::StatusOr<ImageSize> size = ReadImageSize(bytes);
  if (!size.ok()) return size.status();
  if (size->width > kMaxImageSide || size->height > kMaxImageSide ||
      int64_t{size->width} * size->height > kMaxImagePixels) {
    return absl::InvalidArgumentError(absl::StrCat("image is ", size->width, "x", size->height,
                                                   "; at most ", kMaxImageSide, " a side and ",
                                                   kMaxImagePixels, " pixels are legal"));
  }
  const absl::StatusOr<std::string> pixels = KeepPixelData(bytes, size->height, size->width);
  if (!pixels.ok()) return pixels.status();
  const absl::StatusOr<FrameHandle> frame = DecodeFrame(*pixels, *size);
  if (!frame.ok()) return frame.status();
  DecodedImage image{.height = size->height, .width = size->width};
  const size_t row_bytes = static_cast<size_t>(size->width) * kChannels;
  image.rgb.resize(row_bytes * size->height);
  for (int y = 0; y < size->height; ++y) {
    if (CopyRow(**frame, y, image.rgb.data() + y * row_bytes)) continue;
    const absl::Status status = Convert(**frame, image.rgb);
    if (!status.ok()) return status;
    break;
  }
  return image;
}

}  // namespace cogwheel
