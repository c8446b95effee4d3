#include "server/groups/rank_messages.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <absl/strings/str_cat.h>
#include <google/protobuf/unknown_field_set.h>

#include "base/utf8.h"
#include "proto/contract/protocol.h"
#include "proto/contract/status.h"

namespace cogwheel {
namespace {

using internal::v1::JobDone;
using internal::v1::Progress;
using internal::v1::RankMessage;

constexpr double kMaxStageSeconds = 1e9, kMostDecodeSteps = 1e6;
constexpr char kUnknownKind[] = "unknown";
constexpr size_t kMaxWarnings = 16, kMaxWarningBytes = 1024;

std::optional<RunStage> FromWord(const std::string& word) {
  if (word == "text_encode") return RunStage::kTextEncode;
  if (word == "denoise") return RunStage::kDenoise;
  if (word == "decode") return RunStage::kDecode;
  return std::nullopt;
}

// nullopt for one that this build does not know.
std::optional<RunStage> StageOf(const Progress& progress) {
  switch (progress.stage()) {
    case internal::v1::STAGE_UNSPECIFIED:
      return FromWord(progress.stage_word());
    case internal::v1::STAGE_TEXT_ENCODE:
      return RunStage::kTextEncode;
    case internal::v1::STAGE_DENOISE:
      return RunStage::kDenoise;
    case internal::v1::STAGE_DECODE:
      return RunStage::kDecode;
    case internal::v1::Stage_INT_MIN_SENTINEL_DO_NOT_USE_:
    case internal::v1::Stage_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return std::nullopt;
}

absl::Status CheckSteps(int step, int steps) {
  if (step >= 0 && step <= steps) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("step ", step, " of ", steps));
}

bool CanBe(const JobDone& done) {
  const double all[] = {done.text_encode_seconds(), done.denoise_seconds(), done.decode_seconds(),
                        done.encode_seconds()};
  return done.size_bytes() >= 0 && std::all_of(std::begin(all), std::end(all), [](double seconds) {
           return std::isfinite(seconds) && seconds >= 0 && seconds <= kMaxStageSeconds;
         });
}

}  // namespace

bool IsCurrent(const RankMessage& message, int64_t epoch, int64_t job_sequence) {
  const auto is = [epoch, job_sequence](const auto& body) {
    return body.epoch() == epoch && body.job_sequence() == job_sequence;
  };
  switch (message.message_case()) {
    case RankMessage::kFormed:
      return message.formed().epoch() == epoch;
    case RankMessage::kJobAnswer:
      return is(message.job_answer());
    case RankMessage::kProgress:
      return is(message.progress());
    case RankMessage::kPreview:
      return is(message.preview());
    case RankMessage::kResultChunk:
      return is(message.result_chunk());
    case RankMessage::kJobDone:
      return is(message.job_done());
    case RankMessage::kLeaving:
      return message.leaving().epoch() == epoch;
    case RankMessage::kRankFault:
      return message.rank_fault().epoch() == epoch;
    case RankMessage::kNotUnderstood:  // 0: of a message that named none
      return message.not_understood().epoch() == epoch || message.not_understood().epoch() == 0;
    case RankMessage::kHello:
    case RankMessage::kHeartbeat:
    case RankMessage::MESSAGE_NOT_SET:
      break;
  }
  return true;
}

std::string KindOf(const RankMessage& message) {
  const auto* field = RankMessage::descriptor()->FindFieldByNumber(message.message_case());
  return field == nullptr ? kUnknownKind : std::string(field->name());
}

std::vector<std::string> AllKinds() {
  std::vector<std::string> kinds = {kUnknownKind};
  const auto* messages = RankMessage::descriptor()->oneof_decl(0);
  for (int i = 0; i < messages->field_count(); ++i) {
    kinds.emplace_back(messages->field(i)->name());
  }
  return kinds;
}

absl::StatusCode ToStatusCode(int32_t code) {
  constexpr auto kLast = static_cast<int32_t>(absl::StatusCode::kUnauthenticated);
  return code >= 0 && code <= kLast ? static_cast<absl::StatusCode>(code)
                                    : absl::StatusCode::kUnknown;
}

absl::StatusOr<RunProgress> ToRunProgress(const Progress& progress) {
  const std::optional<RunStage> stage = StageOf(progress);
  if (!stage.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("stage ", static_cast<int>(progress.stage()), " ", progress.stage_word()));
  }
  const absl::Status steps = CheckSteps(progress.step(), progress.steps());
  if (!steps.ok()) return steps;
  return RunProgress{*stage, progress.step(), progress.steps()};
}

absl::Status CheckPreview(const internal::v1::Preview& preview) {
  return CheckSteps(preview.step(), preview.steps());
}

std::vector<std::string> CheckedWarnings(const internal::v1::JobAnswer& answer) {
  std::vector<std::string> checked;
  for (const std::string& warning : answer.warnings()) {
    if (checked.size() == kMaxWarnings) break;
    std::string line = WithoutControls(ClipUtf8(warning, kMaxWarningBytes));
    if (!line.empty()) checked.push_back(std::move(line));
  }
  return checked;
}

double CheckedSteps(const internal::v1::JobAnswer& answer) {
  const double steps = answer.decode_in_steps();
  return std::isfinite(steps) && steps >= 0 && steps <= kMostDecodeSteps ? steps : 0;
}

JobDone CheckedReport(const JobDone& done) {
  if (CanBe(done)) return done;
  JobDone checked = done;
  checked.clear_size_bytes();
  checked.clear_text_encode_seconds();
  checked.clear_denoise_seconds();
  checked.clear_decode_seconds();
  checked.clear_encode_seconds();
  if (done.code() != 0) return checked;
  checked.set_code(static_cast<int32_t>(absl::StatusCode::kInternal));
  checked.set_reason("BAD_REPORT");
  checked.set_message("a rank's report of the finished job has numbers that cannot be");
  return checked;
}

bool IsOutOfStep(const JobDone& done, int protocol) {
  if (protocol == 1) return done.message().find("out of step") != std::string::npos;
  return done.reason() == kOutOfStepReason;
}

absl::Status ErrorOfTheJob(const JobDone& done) {
  if (done.reason() != kOutOfMemoryReason && done.reason() != kNotFiniteReason)
    return absl::OkStatus();
  return MakeError(ToStatusCode(done.code()), done.reason(), done.message());
}

int UnknownKind(const RankMessage& message) {
  const auto& unknown = message.GetReflection()->GetUnknownFields(message);
  return unknown.empty() ? 0 : unknown.field(0).number();
}

RunOutcome MergeReports(const std::vector<JobDone>& reports) {
  constexpr auto kCancelled = static_cast<int32_t>(absl::StatusCode::kCancelled);
  auto source = std::find_if(reports.begin(), reports.end(), [](const JobDone& done) {
    return done.code() != 0 && done.code() != kCancelled;
  });
  if (source == reports.end()) {
    source = std::find_if(reports.begin(), reports.end(),
                          [](const JobDone& done) { return done.code() == kCancelled; });
  }
  if (source == reports.end()) source = reports.begin();
  const JobDone& first = reports.front();
  RunOutcome outcome;
  outcome.code = ToStatusCode(source->code());
  outcome.reason = source->reason();
  outcome.message = source->message();
  outcome.result = {first.size_bytes(), first.sha256(), first.media_type()};
  outcome.stage_seconds = {first.text_encode_seconds(), first.denoise_seconds(),
                           first.decode_seconds(), first.encode_seconds()};
  return outcome;
}

}  // namespace cogwheel
