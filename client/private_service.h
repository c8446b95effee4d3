#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/child_process.h"
#include "client/arguments.h"

namespace cogwheel {

// A frontend and its ranks for one command, on loopback, with everything they write in a temporary
// folder of mode 0700 that goes away with it. Owned by the thread that started it: the children die
// with that thread, also when this process is killed.
class PrivateService {
 public:
  struct Options {
    std::filesystem::path program_folder;  // of cogwheel-server and cogwheel-worker
    std::filesystem::path model_folder;
    RankFlags ranks;
    std::string costs_file;  // of the frontend; empty: it keeps none
  };

  // Returns once the ranks serve. `stop_requested` is asked a few times a second; CANCELLED when it
  // says so, and between those times shows what goes on. A child that ends passes on its reason and
  // the meaning of its exit code.
  static absl::StatusOr<std::unique_ptr<PrivateService>> Start(
      const Options& options, const std::function<bool()>& stop_requested);
  ~PrivateService();
  PrivateService(const PrivateService&) = delete;
  PrivateService& operator=(const PrivateService&) = delete;

  const std::string& address() const { return address_; }
  // What ended, if a child did.
  absl::Status CheckAlive();
  // Puts the end of the children's logs into a file that stays and returns its path; "" if that
  // fails.
  std::string KeepLogs() const;
  // Kills and removes at once, without goodbye.
  void Abandon();

 private:
  explicit PrivateService(std::filesystem::path folder) : folder_(std::move(folder)) {}

  absl::Status StartServer(const Options& options, const std::function<bool()>& stop_requested);
  absl::Status StartWorker(const Options& options, const std::function<bool()>& stop_requested);
  absl::StatusOr<std::string> WaitForReadyLine(ChildProcess& child, std::chrono::seconds limit,
                                               const std::string& name,
                                               const std::function<bool()>& stop_requested);
  absl::Status EndOf(const std::string& name, int exit_code) const;
  std::string LogFile(const std::string& name) const { return folder_ / (name + ".log"); }

  const std::filesystem::path folder_;
  std::string address_;
  std::optional<ChildProcess> server_;
  std::optional<ChildProcess> worker_;
};

// A mesh that can be on this machine: cfg 1 or 2, product at most 16. INVALID_ARGUMENT otherwise.
absl::Status CheckMesh(const RankFlags& ranks);

// The worker's arguments after the program's name.
std::vector<std::string> WorkerArguments(const std::string& frontend,
                                         const PrivateService::Options& options);

// Why a program ended, in one line, from its log: the last `program: reason` line, else the last
// JSON line of level error, else the last line that is not JSON; "" when there is none.
std::string ReasonFromLog(const std::string& log, const std::string& program);

}  // namespace cogwheel
