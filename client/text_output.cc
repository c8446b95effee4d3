#include "client/text_output.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <google/protobuf/util/time_util.h>

#include "proto/contract/utf8.h"

namespace cogwheel {
namespace {

using google::protobuf::util::TimeUtil;

constexpr size_t kShownDigits = 12;  // of a digest, in a line of other things

void Line(std::string& text, const char* key, const std::string& value) {
  absl::StrAppendFormat(&text, "%-12s %s\n", key, WithoutControls(value));
}

double Seconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + duration.nanos() * 1e-9;
}

const char* SchedulerName(v1::Scheduler scheduler) {
  return scheduler == v1::SCHEDULER_DDIM ? "ddim" : scheduler == v1::SCHEDULER_DPM ? "dpm" : "-";
}

// One line of at most `columns` bytes, not cut inside a character.
std::string Shortened(const std::string& text, size_t columns) {
  std::string line = WithoutControls(text);
  if (line.size() <= columns) return line;
  return std::string(ClipUtf8(line, columns - 3)) + "...";
}

std::string RequestLine(const v1::GenerateRequest& request) {
  return absl::StrFormat("%d frames of %dx%d at %d fps, %d steps of %s, guidance %g, seed %d",
                         request.frames(), request.width(), request.height(), request.fps(),
                         request.steps(), SchedulerName(request.scheduler()),
                         request.guidance_scale(), request.seed());
}

}  // namespace

std::string OneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return WithoutControls(text);
}

std::string WarningLine(const std::string& warning) {
  return absl::StrCat("cogwheel: warning: ", OneLine(warning), "\n");
}

std::string JobText(const v1::Job& job) {
  std::string text;
  Line(text, "name", job.name());
  Line(text, "state", v1::JobState_Name(job.state()));
  Line(text, "prompt", Shortened(job.request().prompt(), 200));
  Line(text, "model", job.request().model());
  if (!job.model_digest().empty()) Line(text, "digest", job.model_digest());
  Line(text, "request", RequestLine(job.request()));
  Line(text, "created", TimeUtil::ToString(job.create_time()));
  if (job.has_start_time()) Line(text, "started", TimeUtil::ToString(job.start_time()));
  if (job.has_end_time()) Line(text, "ended", TimeUtil::ToString(job.end_time()));
  if (job.has_start_time()) {
    Line(text, "run by",
         absl::StrCat("group ", job.group(), ", epoch ", job.epoch(), ", attempt ", job.attempt()));
  }
  if (job.has_stage_times()) {
    const v1::StageTimes& times = job.stage_times();
    Line(text, "seconds",
         absl::StrFormat("text %.2f, denoise %.2f, decode %.2f, encode %.2f",
                         Seconds(times.text_encode()), Seconds(times.denoise()),
                         Seconds(times.decode()), Seconds(times.encode())));
  }
  if (job.size_bytes() > 0) {
    Line(text, "result", absl::StrCat(job.size_bytes(), " bytes, ", job.media_type()));
    Line(text, "sha256", job.sha256());
  }
  for (const std::string& warning : job.warnings()) Line(text, "warning", warning);
  if (job.has_error()) {
    Line(text, "error", absl::StrCat(job.error().reason(), ": ", job.error().message()));
  }
  return text;
}

std::string JobRow(const v1::Job& job) {
  return absl::StrFormat("%s  %-9s  %s  %s\n", job.name(), v1::JobState_Name(job.state()),
                         TimeUtil::ToString(job.create_time()),
                         Shortened(job.request().prompt(), 60));
}

std::string ModelText(const v1::Model& model) {
  const v1::ModelDefaults& defaults = model.defaults();
  const v1::ModelLimits& limits = model.limits();
  std::string text;
  Line(text, "name", absl::StrCat(model.name(), model.ready() ? " (ready)" : " (no group now)"));
  Line(text, "digest", model.digest());
  if (model.serving_digests_size() > 1) {
    Line(text, "served are", absl::StrJoin(model.serving_digests(), ", "));
  }
  Line(text, "defaults",
       absl::StrFormat("%d frames of %dx%d at %d fps, %d steps of %s, guidance %g",
                       defaults.frames(), defaults.width(), defaults.height(), defaults.fps(),
                       defaults.steps(), SchedulerName(defaults.scheduler()),
                       defaults.guidance_scale()));
  Line(text, "limits",
       absl::StrFormat("frames %dk+1 up to %d, area %d, sides %dx%d, steps %d, text tokens %d%s%s",
                       limits.frames_multiple(), limits.max_frames(), limits.max_area(),
                       limits.max_width(), limits.max_height(), limits.max_steps(),
                       limits.max_text_tokens(), limits.image_required() ? ", needs an image" : "",
                       limits.fixed_shape() ? ", only the default size and frames" : ""));
  return text;
}

std::string GroupText(const v1::Group& group) {
  std::string text = absl::StrCat(group.name(), group.ready() ? "  ready" : "  not ready");
  if (group.ranks_size() == 0) return text + "  no ranks\n";
  const std::string digest = group.model_digest().substr(0, kShownDigits);
  absl::StrAppendFormat(&text, "  model %s%s  mesh cfg%d x ring%d x ulysses%d  epoch %d%s\n",
                        group.model(), digest.empty() ? "" : " " + digest, group.mesh().cfg(),
                        group.mesh().ring(), group.mesh().ulysses(), group.epoch(),
                        group.running_job().empty() ? "" : "  running " + group.running_job());
  for (const v1::Rank& rank : group.ranks()) {
    absl::StrAppendFormat(&text, "  rank %d  %s  %s  %s\n", rank.world_rank(),
                          v1::RankState_Name(rank.state()), rank.host(), rank.device());
  }
  return text;
}

}  // namespace cogwheel
