#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "base/clock.h"
#include "server/job/input_rows.h"
#include "server/job/input_store.h"
#include "server/job/job_name.h"
#include "server/job/job_store.h"
#include "server/schedule/admission.h"
#include "server/schedule/cost_model.h"

namespace cogwheel {

// Turns a request into an accepted job: idempotency, model, limits, admission, store. Thread-safe.
class Intake {
 public:
  struct Parts {
    JobStore& store;
    InputStore& inputs;
    InputRows& input_rows;
    // What requests are checked against now, in the order the names were first seen.
    std::function<absl::StatusOr<std::vector<v1::Model>>()> models;
    AdmissionLedger& ledger;
    const CostModel& costs;
    const Clock& clock;
    std::function<uint32_t()> random_seed;
  };
  explicit Intake(Parts parts) : parts_(std::move(parts)) {}

  using Done = Answer<CreatedJob>;
  // `done` is called exactly once, from any thread, perhaps before this returns: the job is then
  // stored. INVALID_ARGUMENT, NOT_FOUND (UNKNOWN_INPUT), ALREADY_EXISTS, RESOURCE_EXHAUSTED,
  // UNAVAILABLE (DRAINING, NO_GROUP) or the store's errors.
  // `held`: a new job lives while somebody holds it.
  void Submit(const v1::GenerateRequest& request, const std::string& tenant, bool held, Done done);
  // From now on only jobs that exist are answered.
  void Drain() { draining_ = true; }

 private:
  struct Resolved {
    v1::GenerateRequest request;
    std::string model_digest;  // that it was checked against
    std::vector<std::string> warnings;
  };
  absl::StatusOr<Resolved> Resolve(const v1::GenerateRequest& request) const;
  Job MakeJob(Resolved resolved, const std::string& tenant);
  void UseInput(NewJob job, Done done);
  void Admit(NewJob job, const InputStore::Bytes& image, Done done);
  void Store(NewJob job, Done done);

  const Parts parts_;
  JobNamer namer_;
  std::atomic<bool> draining_{false};
};

}  // namespace cogwheel
