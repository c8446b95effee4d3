#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/job/input_rows.h"
#include "server/job/job_errors.h"

namespace cogwheel {

// Rows in memory, which know of no jobs; answers come before the calls return. For one thread.
class MemoryInputRows final : public InputRows {
 public:
  void Keep(KeptInput input, Done done) override {
    if (!fault.ok()) return done(fault);
    rows[{input.tenant, input.sha256}] = std::move(input);
    done(absl::OkStatus());
  }
  void Use(std::string tenant, std::string sha256, Job::WallTime expire_time,
           Answer<KeptInput> done) override {
    const auto found = rows.find({tenant, sha256});
    if (found == rows.end()) return done(UnknownInput(sha256));
    found->second.expire_time = std::max(found->second.expire_time, expire_time);
    done(found->second);
  }
  void DropExpired(Job::WallTime now, Answer<std::vector<KeptInput>> done) override {
    std::vector<KeptInput> dropped;
    std::erase_if(rows, [&](const auto& row) {
      if (row.second.expire_time >= now) return false;
      dropped.push_back(row.second);
      return true;
    });
    done(std::move(dropped));
  }
  absl::StatusOr<std::vector<KeptInput>> All() const override {
    std::vector<KeptInput> all;
    for (const auto& [key, input] : rows) all.push_back(input);
    return all;
  }

  std::map<std::pair<std::string, std::string>, KeptInput> rows;  // by tenant and digest
  absl::Status fault;                                             // of Keep
};

}  // namespace cogwheel
