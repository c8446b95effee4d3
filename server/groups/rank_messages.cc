#include "server/groups/rank_messages.h"

#include <algorithm>

namespace cogwheel {

using internal::v1::JobDone;
using internal::v1::RankMessage;

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
    default:
      return true;
  }
}

std::string KindOf(const RankMessage& message) {
  const auto* field = RankMessage::descriptor()->FindFieldByNumber(message.message_case());
  return field == nullptr ? "unknown" : std::string(field->name());
}

absl::StatusCode ToStatusCode(int32_t code) {
  constexpr auto kLast = static_cast<int32_t>(absl::StatusCode::kUnauthenticated);
  return code >= 0 && code <= kLast ? static_cast<absl::StatusCode>(code)
                                    : absl::StatusCode::kUnknown;
}

RunProgress ToRunProgress(const internal::v1::Progress& progress) {
  const RunStage stage = progress.stage() == "denoise"  ? RunStage::kDenoise
                         : progress.stage() == "decode" ? RunStage::kDecode
                                                        : RunStage::kTextEncode;
  return {stage, progress.step(), progress.steps()};
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
