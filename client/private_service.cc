#include "client/private_service.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include <unistd.h>

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

#include "client/exit_code.h"
#include "proto/contract/mesh_limit.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kServerStartLimit{20};
constexpr seconds kWorkerStartLimit{900};  // the largest checkpoints, from a slow disk
constexpr milliseconds kPoll{100};
constexpr milliseconds kGrace{3000};
constexpr int64_t kLogTailBytes = 16 * 1024;
constexpr char kServer[] = "cogwheel-server", kWorker[] = "cogwheel-worker";

std::string Tail(const std::string& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const int64_t size = in ? static_cast<int64_t>(in.tellg()) : 0;
  const int64_t kept = std::min(size, kLogTailBytes);
  std::string text(kept, '\0');
  in.seekg(size - kept);
  in.read(text.data(), kept);
  return text;
}

std::vector<std::string> LinesFromLast(const std::string& text) {
  std::vector<std::string> lines;
  size_t end = text.size();
  while (end > 0) {
    const size_t newline = text.rfind('\n', end - 1);
    const size_t begin = newline == std::string::npos ? 0 : newline + 1;
    if (end > begin) lines.push_back(text.substr(begin, end - begin));
    if (newline == std::string::npos) break;
    end = newline;
  }
  return lines;
}

// "" for what is not there or no text.
std::string TextOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

absl::StatusOr<fs::path> MakeFolder() {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  std::string name = (error ? fs::path("/tmp") : parent) / "cogwheel-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("temporary folder ", name, ": ", std::strerror(errno)));
  }
  return name;
}

}  // namespace

absl::Status CheckMesh(const RankFlags& ranks) {
  const int64_t cfg = ranks.cfg_parallel.value_or(1);
  const int64_t ring = ranks.ring.value_or(1), ulysses = ranks.ulysses.value_or(1);
  if (cfg * ring * ulysses <= kMostRanks) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a mesh of cfg_parallel ", cfg, " x ring ", ring, " x ulysses ", ulysses, " = ",
      cfg * ring * ulysses, " ranks is more than ", kMostRanks, "; the nearest legal mesh is ",
      NearestMeshFlags(cfg, ring, ulysses, kMostRanks)));
}

std::vector<std::string> WorkerArguments(const std::string& frontend,
                                         const PrivateService::Options& options) {
  const RankFlags& ranks = options.ranks;
  std::vector<std::string> arguments = {"--frontend", frontend, "--model",
                                        options.model_folder.string()};
  const auto add = [&arguments](const char* flag, const std::string& value) {
    arguments.insert(arguments.end(), {flag, value});
  };
  if (ranks.cfg_parallel || ranks.ring || ranks.ulysses) {
    const int cfg = ranks.cfg_parallel.value_or(1);
    const int ring = ranks.ring.value_or(1), ulysses = ranks.ulysses.value_or(1);
    add("--ranks", absl::StrCat(cfg * ring * ulysses));
    add("--cfg-parallel", absl::StrCat(cfg));
    add("--ring", absl::StrCat(ring));
    add("--ulysses", absl::StrCat(ulysses));
  }
  if (!ranks.device.empty()) add("--device", ranks.device);
  if (!ranks.dtype.empty()) add("--dtype", ranks.dtype);
  if (!ranks.variant.empty()) add("--variant", ranks.variant);
  return arguments;
}

std::string ReasonFromLog(const std::string& log, const std::string& program) {
  const std::vector<std::string> lines = LinesFromLast(log);
  const std::string prefix = program + ": ";
  for (const std::string& line : lines) {
    if (line.starts_with(prefix)) return line.substr(prefix.size());
  }
  std::string plain;  // of a library or the runtime: "terminate called ..."
  for (const std::string& line : lines) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) {
      if (plain.empty()) plain = line;
    } else if (TextOf(json, "level") == "error") {
      const std::string error = TextOf(json, "error");
      return absl::StrCat(TextOf(json, "message"), error.empty() ? "" : ": ", error);
    }
  }
  return plain;
}

absl::StatusOr<std::unique_ptr<PrivateService>> PrivateService::Start(
    const Options& options, const std::function<bool()>& stop_requested) {
  for (const char* program : {kServer, kWorker}) {
    if (access((options.program_folder / program).c_str(), X_OK) != 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          program, " is not in ", options.program_folder.string(),
          ", beside this program; install the package again, or in the sources run scripts/build"));
    }
  }
  const absl::StatusOr<fs::path> folder = MakeFolder();
  if (!folder.ok()) return folder.status();
  std::unique_ptr<PrivateService> service(new PrivateService(*folder));
  absl::Status started = service->StartServer(options, stop_requested);
  if (started.ok()) started = service->StartWorker(options, stop_requested);
  if (started.ok()) return service;
  if (absl::IsFailedPrecondition(started) || absl::IsCancelled(started)) return started;
  const std::string kept = service->KeepLogs();
  return absl::Status(started.code(),
                      kept.empty() ? std::string(started.message())
                                   : absl::StrCat(std::string(started.message()), "; log: ", kept));
}

absl::Status PrivateService::StartServer(const Options& options,
                                         const std::function<bool()>& stop_requested) {
  ChildOptions child;
  child.argv = {options.program_folder / kServer,
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--data-dir",
                folder_ / "data",
                "--costs-file",
                options.costs_file};
  child.drop_cogwheel_env = true;
  child.log_file = LogFile(kServer);
  absl::StatusOr<ChildProcess> process = ChildProcess::Start(child);
  if (!process.ok()) return process.status();
  server_ = *std::move(process);
  const absl::StatusOr<std::string> line =
      WaitForReadyLine(*server_, kServerStartLimit, kServer, stop_requested);
  if (!line.ok()) return line.status();
  const auto ready = nlohmann::json::parse(*line, nullptr, /*allow_exceptions=*/false);
  if (ready.is_object()) address_ = TextOf(ready, "listen");
  if (!address_.empty()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(kServer, " did not tell its address: ", *line));
}

absl::Status PrivateService::StartWorker(const Options& options,
                                         const std::function<bool()>& stop_requested) {
  ChildOptions child;
  child.argv = WorkerArguments(address_, options);
  child.argv.insert(child.argv.begin(), options.program_folder / kWorker);
  child.drop_cogwheel_env = true;
  child.log_file = LogFile(kWorker);
  absl::StatusOr<ChildProcess> process = ChildProcess::Start(child);
  if (!process.ok()) return process.status();
  worker_ = *std::move(process);
  return WaitForReadyLine(*worker_, kWorkerStartLimit, kWorker, stop_requested).status();
}

absl::StatusOr<std::string> PrivateService::WaitForReadyLine(
    ChildProcess& child, seconds limit, const std::string& name,
    const std::function<bool()>& stop_requested) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < until) {
    if (stop_requested()) return absl::CancelledError("interrupted");
    const absl::StatusOr<std::string> line = child.ReadLine(kPoll);
    if (line.ok()) return line;
    if (absl::IsUnavailable(line.status())) return EndOf(name, child.Wait(kGrace).value_or(1));
    const absl::Status alive = CheckAlive();
    if (!alive.ok()) return alive;
  }
  return absl::UnavailableError(
      absl::StrCat(name, " was not ready after ", limit.count(), " seconds"));
}

absl::Status PrivateService::EndOf(const std::string& name, int exit_code) const {
  const std::string reason = ReasonFromLog(Tail(LogFile(name)), name);
  const std::string said = reason.empty() ? "it gave no reason" : reason;
  // A child says what the user can change as its own exit code 2; that is passed on as it is.
  if (exit_code == static_cast<int>(ExitCode::kRefused)) {
    return absl::FailedPreconditionError(said);
  }
  const std::string how = exit_code > 128 ? absl::StrCat("was ended by signal ", exit_code - 128)
                                          : absl::StrCat("ended with code ", exit_code);
  const std::string message = absl::StrCat(name, " ", how, ": ", said);
  if (exit_code == static_cast<int>(ExitCode::kUnavailable)) {
    return absl::UnavailableError(message);
  }
  return absl::InternalError(message);
}

absl::Status PrivateService::CheckAlive() {
  constexpr milliseconds kNow{0};
  // The server first: the worker ends for want of it, never the reverse.
  if (server_.has_value()) {
    if (const auto code = server_->Wait(kNow)) return EndOf(kServer, *code);
  }
  if (worker_.has_value()) {
    if (const auto code = worker_->Wait(kNow)) return EndOf(kWorker, *code);
  }
  return absl::OkStatus();
}

std::string PrivateService::KeepLogs() const {
  std::string name = folder_.parent_path() / "cogwheel-log-XXXXXX";
  const int fd = mkstemp(name.data());
  if (fd < 0) return "";
  close(fd);
  std::ofstream out(name, std::ios::binary);
  for (const char* program : {kServer, kWorker}) {
    out << "== " << program << "\n" << Tail(LogFile(program)) << "\n";
  }
  return out.flush() ? name : "";
}

void PrivateService::Abandon() {
  for (std::optional<ChildProcess>* child : {&worker_, &server_}) {
    if (child->has_value()) (*child)->Signal(SIGKILL);
  }
  std::error_code error;
  fs::remove_all(folder_, error);
}

PrivateService::~PrivateService() {
  if (worker_.has_value()) worker_->Stop(kGrace);
  if (server_.has_value()) server_->Stop(kGrace);
  std::error_code error;
  fs::remove_all(folder_, error);
}

}  // namespace cogwheel
