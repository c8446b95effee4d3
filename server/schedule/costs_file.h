#pragma once

#include <string>
#include <thread>
#include <vector>

#include <absl/status/statusor.h>

#include "base/mutex.h"
#include "server/schedule/cost_model.h"

namespace cogwheel {

// Keeps what a CostModel learns in a JSON file, for the next process; several may share one. They
// are estimates: the file is replaced whole and not synced, one that is damaged or cannot be
// written is logged and done without. Writes on a thread of its own: who learns does not wait.
class CostsFile {
 public:
  // Reads what is there. An empty path keeps nothing. `costs` learns nothing before or after.
  CostsFile(std::string path, CostModel& costs);
  // Writes what is new.
  ~CostsFile();
  CostsFile(const CostsFile&) = delete;
  CostsFile& operator=(const CostsFile&) = delete;

 private:
  void SaveSoon() COGWHEEL_EXCLUDES(mutex_);
  bool WaitForNews() COGWHEEL_EXCLUDES(mutex_);
  void Save();
  void Complain(const std::string& what, const std::string& why);

  const std::string path_;
  CostModel& costs_;
  bool complained_ = false;  // of the thread
  Mutex mutex_;
  CondVar changed_;
  bool news_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool stopping_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::jthread thread_;  // last: it uses the others
};

// The file's text. Pure. INVALID_ARGUMENT for what is no text of costs.
std::string CostsToJson(const std::vector<CostModel::Entry>& entries);
absl::StatusOr<std::vector<CostModel::Entry>> CostsFromJson(const std::string& text);

}  // namespace cogwheel
