#include "worker/media/video_encoder.h"

#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "worker/media/av_handles.h"
#include "worker/media/h264_level.h"
#include "worker/media/mp4_header.h"

extern "C" {
#include <libavutil/opt.h>
}

namespace cogwheel {
namespace {

constexpr int kWriteBufferBytes = 1 << 16;
// Constant: small flat clips keep clean edges, and no clock or buffer model enters.
constexpr int kQuantiser = 18;
// OpenH264 refuses a frame that would outgrow its raw size, as noise does: the clip then goes on
// with a coarser quantiser.
constexpr int kQuantiserStep = 8;
constexpr int kCoarsestQuantiser = 50;
constexpr int kTicksAFrame = 1000;  // of the movie's clock: so its duration is exact

absl::Status Check(int code, const char* what) {
  return AvStatus(code, absl::StatusCode::kInternal, what);
}

class Mp4Encoder final : public VideoEncoder {
 public:
  Mp4Encoder(const VideoFormat& format, ByteSink sink) : format_(format), sink_(std::move(sink)) {}

  absl::Status Open() {
    SilenceFfmpeg();
    AVFormatContext* muxer = nullptr;
    absl::Status status =
        Check(avformat_alloc_output_context2(&muxer, nullptr, "mp4", nullptr), "MP4 muxer");
    if (!status.ok()) return status;
    muxer_.reset(muxer);
    auto* buffer = static_cast<unsigned char*>(av_malloc(kWriteBufferBytes));
    muxer_->pb = avio_alloc_context(buffer, kWriteBufferBytes, /*write_flag=*/1, this,
                                    /*read_packet=*/nullptr, &Mp4Encoder::Write,
                                    /*seek=*/nullptr);
    muxer_->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
    if (status = OpenCodec(); !status.ok()) return status;
    if (status = OpenScaler(); !status.ok()) return status;
    return WriteHeader();
  }

  absl::Status AddFrame(std::span<const uint8_t> rgb) override {
    if (rgb.size() != static_cast<size_t>(format_.width) * format_.height * 3) {
      return absl::InternalError(absl::StrCat("a frame of ", rgb.size(), " bytes for ",
                                              format_.width, "x", format_.height));
    }
    absl::Status status = Check(av_frame_make_writable(frame_.get()), "video frame");
    if (!status.ok()) return status;
    const uint8_t* rows[] = {rgb.data()};
    const int strides[] = {format_.width * 3};
    sws_scale(scaler_.get(), rows, strides, 0, format_.height, frame_->data, frame_->linesize);
    frame_->pict_type = next_pts_ % format_.fps == 0 ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    frame_->pts = next_pts_++;
    status = EncodeFrame();
    if (status.ok()) status = WritePackets();
    if (status.ok() && next_pts_ % format_.fps == 0) status = EndFragment();
    return status;
  }

  absl::Status Finish() override {
    absl::Status status = Check(avcodec_send_frame(codec_.get(), nullptr), "H.264 encoder");
    if (status.ok()) status = WritePackets();
    if (status.ok()) status = Checked(av_write_trailer(muxer_.get()), "MP4 trailer");
    return status;
  }

 private:
  static int Write(void* opaque, uint8_t* data, int size) {
    auto* self = static_cast<Mp4Encoder*>(opaque);
    if (self->holds_header_) {
      self->header_.append(reinterpret_cast<const char*>(data), size);
      return size;
    }
    if (self->sink_status_.ok())
      self->sink_status_ = self->sink_({data, static_cast<size_t>(size)});
    return self->sink_status_.ok() ? size : AVERROR(EIO);
  }

  // The sink's own error says more than FFmpeg's EIO.
  absl::Status Checked(int code, const char* what) const {
    return sink_status_.ok() ? Check(code, what) : sink_status_;
  }

  absl::Status EncodeFrame() {
    int code = avcodec_send_frame(codec_.get(), frame_.get());
    while (code == AVERROR_UNKNOWN && quantiser_ < kCoarsestQuantiser) {
      quantiser_ += kQuantiserStep;
      if (const absl::Status status = OpenCodec(); !status.ok()) return status;
      code = avcodec_send_frame(codec_.get(), frame_.get());
    }
    return Check(code, "H.264 encoder");
  }

  absl::Status OpenCodec() {
    const AVCodec* encoder = avcodec_find_encoder_by_name("libopenh264");
    if (encoder == nullptr) return absl::InternalError("FFmpeg was built without libopenh264");
    codec_.reset(avcodec_alloc_context3(encoder));
    codec_->width = format_.width;
    codec_->height = format_.height;
    codec_->time_base = {1, format_.fps};
    codec_->framerate = {format_.fps, 1};
    codec_->gop_size = 0;  // AddFrame says which
    codec_->pix_fmt = AV_PIX_FMT_YUV420P;
    codec_->bit_rate = 100'000'000;  // never the limit: the quantiser decides
    codec_->qmin = codec_->qmax = quantiser_;
    codec_->thread_count = 1;
    codec_->slices = 1;
    codec_->color_range = AVCOL_RANGE_MPEG;
    codec_->colorspace = AVCOL_SPC_BT709;
    codec_->color_primaries = AVCOL_PRI_BT709;
    codec_->color_trc = AVCOL_TRC_BT709;
    codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    av_opt_set(codec_->priv_data, "rc_mode", "quality", 0);
    av_opt_set_int(codec_->priv_data, "allow_skip_frames", 0, 0);
    const int code = avcodec_open2(codec_.get(), encoder, nullptr);
    if (code == 0)
      SetLevel({codec_->extradata, static_cast<size_t>(codec_->extradata_size)}, level_);
    return Check(code, "H.264 encoder");
  }

  absl::Status OpenScaler() {
    scaler_.reset(sws_getContext(format_.width, format_.height, AV_PIX_FMT_RGB24, format_.width,
                                 format_.height, AV_PIX_FMT_YUV420P,
                                 SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT, nullptr, nullptr,
                                 nullptr));
    if (scaler_ == nullptr) return absl::InternalError("no RGB to YUV conversion");
    const int* bt709 = sws_getCoefficients(SWS_CS_ITU709);
    constexpr int kUnchanged = 1 << 16;
    sws_setColorspaceDetails(scaler_.get(), bt709, /*srcRange=*/1, bt709, /*dstRange=*/0,
                             /*brightness=*/0, kUnchanged, kUnchanged);
    frame_.reset(av_frame_alloc());
    frame_->format = AV_PIX_FMT_YUV420P;
    frame_->width = format_.width;
    frame_->height = format_.height;
    packet_.reset(av_packet_alloc());
    return Check(av_frame_get_buffer(frame_.get(), 0), "video frame");
  }

  absl::Status WriteHeader() {
    stream_ = avformat_new_stream(muxer_.get(), nullptr);
    absl::Status status =
        Check(avcodec_parameters_from_context(stream_->codecpar, codec_.get()), "MP4 stream");
    if (!status.ok()) return status;
    stream_->time_base = codec_->time_base;
    AVDictionary* options = nullptr;
    // The trailer would hold an index of fragments only, by offsets from before the head grew.
    av_dict_set(&options, "movflags", "frag_custom+empty_moov+default_base_moof+skip_trailer", 0);
    av_dict_set_int(&options, "movie_timescale", int64_t{kTicksAFrame} * format_.fps, 0);
    holds_header_ = true;
    status = Check(avformat_write_header(muxer_.get(), &options), "MP4 header");
    avio_flush(muxer_->pb);
    holds_header_ = false;
    av_dict_free(&options);
    return status.ok() ? SendHeader() : status;
  }

  absl::Status SendHeader() {
    absl::StatusOr<std::string> header =
        WithDuration(std::exchange(header_, {}), format_.frames, format_.fps);
    if (!header.ok()) return header.status();
    const auto* bytes = reinterpret_cast<const uint8_t*>(header->data());
    return sink_status_ = sink_({bytes, header->size()});
  }

  absl::Status WritePackets() {
    while (true) {
      const int code = avcodec_receive_packet(codec_.get(), packet_.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return absl::OkStatus();
      absl::Status status = Check(code, "H.264 encoder");
      if (!status.ok()) return status;
      SetLevel({packet_->data, static_cast<size_t>(packet_->size)}, level_);
      packet_->stream_index = stream_->index;
      packet_->duration = 1;
      av_packet_rescale_ts(packet_.get(), codec_->time_base, stream_->time_base);
      status = Checked(av_write_frame(muxer_.get(), packet_.get()), "MP4 fragment");
      av_packet_unref(packet_.get());
      if (!status.ok()) return status;
    }
  }

  absl::Status EndFragment() {
    return Checked(av_write_frame(muxer_.get(), /*pkt=*/nullptr), "MP4 fragment");
  }

  const VideoFormat format_;
  const ByteSink sink_;
  const int level_ = LevelFor(format_.width, format_.height, format_.fps);
  int quantiser_ = kQuantiser;
  bool holds_header_ = false;
  std::string header_;  // while it is held
  absl::Status sink_status_;
  FormatHandle muxer_;
  CodecHandle codec_;
  ScalerHandle scaler_;
  FrameHandle frame_;
  PacketHandle packet_;
  AVStream* stream_ = nullptr;  // owned by the muxer
  int64_t next_pts_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<VideoEncoder>> VideoEncoder::Create(const VideoFormat& format,
                                                                   ByteSink sink) {
  auto encoder = std::make_unique<Mp4Encoder>(format, std::move(sink));
  const absl::Status status = encoder->Open();
  if (!status.ok()) return status;
  return encoder;
}

}  // namespace cogwheel
