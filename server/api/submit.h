#pragma once

#include <string>

#include "server/api/api_parts.h"

namespace cogwheel {

// Who submits, and how.
struct Submitter {
  std::string tenant;
  std::string trace_id;
  bool hold = false;  // the job lives while somebody holds it
};

// Intake::Submit, counted and logged; a new job that is to be held waits for its holder. CreateJob
// and Generate share it. On the I/O pool.
void Submit(const v1::GenerateRequest& request, const Submitter& submitter, const ApiParts& parts,
            Intake::Done done);

// The tenant's job of that name, as callers write it. On the I/O pool.
absl::StatusOr<Job> FindJob(const std::string& tenant, const std::string& given,
                            const JobStore& store);

}  // namespace cogwheel
