#include "server/dispatch/intake.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "base/failpoint.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/dispatch/prompt_warnings.h"
#include "server/job/request_hash.h"

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kGroupRetry{5000}, kDrainRetry{2000};

// The one of that name. Without one: the first that is served, in the order in which they were
// first seen, else the first of all; a model that has gone is not everybody's default for ever.
const v1::Model* Choose(const std::string& name, const std::vector<v1::Model>& models) {
  const auto found = name.empty() ? std::ranges::find(models, true, &v1::Model::ready)
                                  : std::ranges::find(models, name, &v1::Model::name);
  if (found != models.end()) return &*found;
  return name.empty() && !models.empty() ? &models.front() : nullptr;
}

absl::Status UnknownModel(const std::string& name, const std::vector<v1::Model>& known) {
  constexpr size_t kMostShown = 8;
  std::vector<std::string> names;
  for (const v1::Model& model : known) names.push_back(model.name());
  if (names.size() > kMostShown) {
    names.resize(kMostShown);
    names.push_back("...");
  }
  const std::string message =
      known.empty() ? "no group has joined yet; start one: cogwheel-worker --frontend HOST:PORT "
                      "--model FOLDER"
                    : absl::StrCat("model ", name, " is offered by no group; known are ",
                                   absl::StrJoin(names, ", "));
  return WithRetryAfter(MakeError(absl::StatusCode::kUnavailable, "NO_GROUP", message),
                        kGroupRetry);
}

}  // namespace

absl::StatusOr<Intake::Resolved> Intake::Resolve(const v1::GenerateRequest& request) const {
  const absl::StatusOr<std::vector<v1::Model>> models = parts_.models();
  if (!models.ok()) return models.status();
  const v1::Model* model = Choose(request.model(), *models);
  if (model != nullptr) {
    auto resolved = ResolveRequest(request, *model, parts_.random_seed());
    if (!resolved.ok()) return resolved.status();
    std::vector<std::string> warnings = PromptWarnings(*resolved, *model);
    return Resolved{*std::move(resolved), model->digest(), std::move(warnings)};
  }
  const absl::Status valid = ValidateRequest(request);
  return valid.ok() ? UnknownModel(request.model(), *models) : valid;
}

Job Intake::MakeJob(Resolved resolved, const std::string& tenant) {
  Job job;
  job.create_time = parts_.clock.Wall();
  job.name = namer_.Next(job.create_time);
  job.tenant = tenant;
  job.request = std::move(resolved.request);
  job.model_digest = std::move(resolved.model_digest);
  job.warnings = std::move(resolved.warnings);
  return job;
}

void Intake::Submit(const v1::GenerateRequest& request, const std::string& tenant, bool held,
                    Done done) {
  const bool keyed = !request.request_id().empty();
  const std::string hash = keyed ? RequestHash(request) : "";
  if (keyed) {  // before limits: a job that exists needs no place
    const auto first = parts_.store.FindByRequestId(tenant, request.request_id(), hash);
    if (!first.ok()) return done(first.status());
    if (first->has_value()) return done(CreatedJob{**first, /*existed=*/true});
  }
  if (draining_) {
    return done(WithRetryAfter(
        MakeError(absl::StatusCode::kUnavailable, "DRAINING", "the server is shutting down"),
        kDrainRetry));
  }
  absl::StatusOr<Resolved> resolved = Resolve(request);
  if (!resolved.ok()) return done(resolved.status());
  const InputStore::Bytes image =
      std::make_shared<const std::string>(std::move(*resolved->request.mutable_image()));
  resolved->request.clear_image();
  NewJob job{MakeJob(*std::move(resolved), tenant), request.request_id(), hash};
  job.job.image_bytes = static_cast<int64_t>(image->size());
  job.job.held = held;
  if (request.image_input().empty()) return Admit(std::move(job), image, std::move(done));
  UseInput(std::move(job), std::move(done));
}

// Renewed before the job names it, so that it is not dropped in between. Its bytes are counted
// where it is kept, not again with each job.
void Intake::UseInput(NewJob job, Done done) {
  const std::string sha256 = DigestOfInput(job.job.request.image_input()).value_or("");
  parts_.input_rows.Use(
      job.job.tenant, sha256, job.job.create_time + kInputLife,
      [this, job, done = std::move(done)](const absl::StatusOr<KeptInput>& input) {
        if (!input.ok()) return done(input.status());
        if (!input->image_refusal.empty()) {
          return done(MakeInvalidArgument(
              "IMAGE", {{"image_input", absl::StrCat("image_input ", input->image_refusal)}}));
        }
        NewJob with_input = job;
        with_input.job.image_sha256 = input->sha256;
        Admit(std::move(with_input), std::make_shared<const std::string>(), done);
      });
}

void Intake::Admit(NewJob job, const InputStore::Bytes& image, Done done) {
  const v1::GenerateRequest& accepted = job.job.request;
  const double seconds = parts_.costs.Seconds(accepted.model(), SizeOf(accepted)).value_or(0);
  const absl::Status admitted = parts_.ledger.Reserve(job.job.name, CostOf(job.job, seconds));
  if (!admitted.ok()) return done(admitted);
  if (image->empty()) return Store(std::move(job), std::move(done));
  // Durable before the row that names it.
  parts_.inputs.Put(image, [this, job, done = std::move(done)](absl::StatusOr<std::string> put) {
    if (!put.ok()) {
      parts_.ledger.Release(job.job.name);
      return done(put.status());
    }
    NewJob with_image = job;
    with_image.job.image_sha256 = *std::move(put);
    Store(std::move(with_image), done);
  });
}

void Intake::Store(NewJob job, Done done) {
  Failpoint("intake.before_store");
  const std::string name = job.job.name;
  parts_.store.Create(std::move(job),
                      [this, name, done = std::move(done)](absl::StatusOr<CreatedJob> created) {
                        if (!created.ok() || created->existed) {
                          parts_.ledger.Release(name);
                        } else {
                          Failpoint("intake.after_store");
                        }
                        Failpoint("intake.before_ack");
                        done(std::move(created));
                      });
}

}  // namespace cogwheel
