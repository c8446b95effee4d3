#pragma once

#include <string>
#include <vector>

#include "server/job/input_rows.h"
#include "server/store/sqlite/reader_pool.h"
#include "server/store/sqlite/store_writer.h"

namespace cogwheel {

// True while a tenant keeps the input.
absl::StatusOr<bool> IsKept(Connection& connection, const std::string& sha256);
// Of a tenant: what was not used since then is the next to be dropped.
absl::Status ExpireInputs(Connection& connection, const std::string& tenant,
                          Job::WallTime used_before);

// The table kept_inputs, in the file of the jobs and through their writer.
class SqliteInputRows final : public InputRows {
 public:
  SqliteInputRows(StoreWriter& writer, ReaderPool& readers) : writer_(writer), readers_(readers) {}

  void Keep(KeptInput input, Done done) override;
  void Use(std::string tenant, std::string sha256, Job::WallTime expire_time,
           Answer<KeptInput> done) override;
  void DropExpired(Job::WallTime now, Answer<std::vector<KeptInput>> done) override;
  absl::StatusOr<std::vector<KeptInput>> All() const override;

 private:
  StoreWriter& writer_;
  ReaderPool& readers_;
};

}  // namespace cogwheel
