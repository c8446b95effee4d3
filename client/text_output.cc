#include "client/text_output.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "base/utf8.h"
#include "client/local_time.h"
#include "client/state_words.h"
#include "client/text_table.h"

namespace cogwheel {
namespace {

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

// "" for a job that neither waits nor runs.
std::string ShortProgress(const v1::Job& job) {
  if (job.state() == v1::QUEUED && job.queue_position() > 0) {
    return job.queue_position() == 1 ? "next" : absl::StrCat("place ", job.queue_position());
  }
  if (job.state() != v1::RUNNING || !job.has_progress()) return "";
  return absl::StrFormat("%.0f %%", 100 * job.progress().fraction());
}

std::string LongProgress(const v1::Job& job) {
  std::string text = ShortProgress(job);
  if (job.state() != v1::RUNNING || text.empty()) return text;
  const v1::Progress& progress = job.progress();
  if (progress.steps() > 0) {
    absl::StrAppend(&text, ", step ", progress.step(), " of ", progress.steps());
  }
  if (progress.has_time_left()) {
    absl::StrAppendFormat(&text, ", %.0f s left", Seconds(progress.time_left()));
  }
  return text;
}

void TimeLine(std::string& text, const char* key, const google::protobuf::Timestamp& time,
              int64_t now_seconds) {
  Line(text, key, absl::StrCat(FullTime(time), " (", Age(time, now_seconds), ")"));
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

std::string JobText(const v1::Job& job, int64_t now_seconds) {
  std::string text;
  Line(text, "name", job.name());
  Line(text, "state", StateWord(job.state()));
  const std::string progress = LongProgress(job);
  if (!progress.empty()) Line(text, job.state() == v1::QUEUED ? "in queue" : "progress", progress);
  Line(text, "prompt", Shortened(job.request().prompt(), 200));
  Line(text, "model", job.request().model());
  if (!job.model_digest().empty()) Line(text, "digest", job.model_digest());
  Line(text, "request", RequestLine(job.request()));
  TimeLine(text, "created", job.create_time(), now_seconds);
  if (job.has_start_time()) TimeLine(text, "started", job.start_time(), now_seconds);
  if (job.has_end_time()) TimeLine(text, "ended", job.end_time(), now_seconds);
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

std::string JobLine(const v1::Job& job) {
  return absl::StrCat(WithoutControls(job.name()), " ", StateWord(job.state()), "\n");
}

std::string JobTable(const std::vector<v1::Job>& jobs, int64_t now_seconds, int columns) {
  std::vector<std::vector<std::string>> rows = {{"JOB", "STATE", "CREATED", "PROGRESS", "PROMPT"}};
  for (const v1::Job& job : jobs) {
    rows.push_back({job.name(), StateWord(job.state()), When(job.create_time(), now_seconds),
                    ShortProgress(job), job.request().prompt()});
  }
  return TextTable(rows, columns);
}

std::string ModelText(const v1::Model& model) {
  const v1::ModelDefaults& defaults = model.defaults();
  const v1::ModelLimits& limits = model.limits();
  std::string text;
  Line(text, "name", absl::StrCat(model.name(), model.ready() ? " (ready)" : " (no group now)"));
  if (!model.description().empty()) Line(text, "draws", model.description());
  for (const std::string& prompt : model.sample_prompts()) Line(text, "try", prompt);
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
  const std::string name =
      absl::StrCat(WithoutControls(group.name()), group.ready() ? "  ready" : "  not ready",
                   group.drained() ? ", drained" : "");
  if (group.ranks_size() == 0) return name + "  no ranks\n";
  const std::string digest = group.model_digest().substr(0, kShownDigits);
  const std::string about =
      absl::StrFormat("  model %s%s  mesh %s  epoch %d%s", group.model(),
                      digest.empty() ? "" : " " + digest, MeshWords(group.mesh()), group.epoch(),
                      group.running_job().empty() ? "" : "  running " + group.running_job());
  std::vector<std::vector<std::string>> rows = {{"  RANK", "STATE", "HOST", "DEVICE"}};
  for (const v1::Rank& rank : group.ranks()) {
    const std::string place = rank.world_rank() < 0 ? "-" : absl::StrCat(rank.world_rank());
    rows.push_back({"  " + place, StateWord(rank.state()), rank.host(), rank.device()});
  }
  return name + WithoutControls(about) + "\n" + TextTable(rows, /*columns=*/0);
}

}  // namespace cogwheel
