#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "base/sha256.h"
#include "server/job/job_store.h"
#include "server/job/result_store.h"
#include "server/streams/message_source.h"

namespace cogwheel {

// A result from an offset in pieces, the digest on the last. DATA_LOSS when what is read from the
// start does not have the digest that was stored: nothing is read before the first piece is sent.
class DownloadSource final : public MessageSource {
 public:
  struct Parts {
    const JobStore& store;
    const ResultStore& results;
    std::function<void(const Artefact&)> on_damage;
  };
  struct Wanted {
    std::string tenant;
    std::string job;  // as the caller names it
    int64_t offset = 0;
  };
  DownloadSource(Parts parts, Wanted wanted)
      : parts_(std::move(parts)), wanted_(std::move(wanted)), offset_(wanted_.offset) {}

  Pulled Pull(const std::shared_ptr<EventWatcher>& waker) override;

 private:
  absl::Status Open();
  Pulled NextPiece();
  Pulled Lost() const;

  const Parts parts_;
  const Wanted wanted_;
  Artefact result_;
  std::shared_ptr<const ResultReader> reader_;  // none: not opened yet
  Sha256 sha_;                                  // of what was sent
  int64_t offset_;
  bool done_ = false;
};

}  // namespace cogwheel
