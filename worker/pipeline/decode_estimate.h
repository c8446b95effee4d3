#pragma once

#include "worker/families/model.h"
#include "worker/pipeline/job_spec.h"
#include "worker/pipeline/pipeline.h"

namespace cogwheel {

// What a job's decode should take on the group, in the job's steps, by the model's arithmetic
// (decode_cost.h); 0 where nothing is decoded.
// geometry: the job's, of world rank 0.
double EstimateDecode(const JobSpec& spec, const Model& model, const LatentLayout& layout,
                      const Geometry& geometry, const PipelineOptions& options);

}  // namespace cogwheel
