#include "server/dispatch/input_keeper.h"

#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

namespace cogwheel {

absl::Status InputKeeper::Recover() {
  const absl::StatusOr<std::vector<KeptInput>> kept = parts_.rows.All();
  if (!kept.ok()) return kept.status();
  for (const KeptInput& input : *kept) {
    parts_.ledger.Take(PlaceOfInput(input.tenant, input.sha256),
                       CostOfInput(input.tenant, input.size_bytes));
  }
  return absl::OkStatus();
}

std::unique_ptr<Upload> InputKeeper::Begin(const std::string& tenant) {
  return std::make_unique<Upload>(Upload::Parts{parts_.inputs, parts_.rows, parts_.ledger,
                                                parts_.clock, picture_, tenant,
                                                absl::StrCat("uploads/", ++uploads_)});
}

absl::Status InputKeeper::DropExpired() {
  return Await<absl::Status>([this](Done done) {
    parts_.rows.DropExpired(parts_.clock.Wall(),
                            [&ledger = parts_.ledger, done = std::move(done)](
                                const absl::StatusOr<std::vector<KeptInput>>& dropped) {
                              // In the order of the commits: who keeps the same bytes again takes a
                              // place after this.
                              if (!dropped.ok()) return done(dropped.status());
                              for (const KeptInput& input : *dropped) {
                                ledger.Release(PlaceOfInput(input.tenant, input.sha256));
                              }
                              done(absl::OkStatus());
                            });
  });
}

}  // namespace cogwheel
