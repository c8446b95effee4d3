#include "server/job/job_errors.h"

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {

absl::Status UnknownJob(const std::string& name) {
  return MakeError(absl::StatusCode::kNotFound, "UNKNOWN_JOB",
                   absl::StrCat("name ", name, " is no job of this server"));
}

absl::Status Fenced(const std::string& name) {
  return MakeError(absl::StatusCode::kAborted, "FENCED",
                   absl::StrCat(name, " has ended or another attempt is current"));
}

absl::Status NotFinished(const Job& job) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_FINISHED",
                   absl::StrCat(job.name, " is ", JobStateName(job.state),
                                " and cannot be deleted; cancel it first"));
}

absl::Status KeyOfRemovedJob(const std::string& request_id, const std::string& job) {
  return MakeError(absl::StatusCode::kNotFound, "UNKNOWN_JOB",
                   absl::StrCat("request_id ", request_id, " stands for ", job,
                                ", which has been removed; to run the request again send it with "
                                "another request_id"));
}

absl::Status KeyReused(const std::string& request_id, const std::string& job) {
  return MakeError(absl::StatusCode::kAlreadyExists, "KEY_REUSED",
                   absl::StrCat("request_id ", request_id, " belongs to another request, ", job));
}

absl::Status UnknownInput(const std::string& sha256) {
  return MakeError(absl::StatusCode::kNotFound, "UNKNOWN_INPUT",
                   absl::StrCat("image_input inputs/", sha256,
                                " is no input of yours; UploadInput keeps one for 24 hours"));
}

}  // namespace cogwheel
