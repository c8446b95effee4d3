#include "client/doctor_command.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "client/doctor/machine.h"
#include "client/doctor/probes.h"
#include "client/doctor/program_run.h"
#include "client/doctor/program_start.h"
#include "client/doctor/report.h"
#include "client/private_service.h"
#include "client/shipped_model.h"
#include "client/version.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr char kServer[] = "cogwheel-server", kWorker[] = "cogwheel-worker";
constexpr char kUnusedFrontend[] = "127.0.0.1:50051";
constexpr int kWorkerLimitSeconds = 900;  // a large checkpoint's headers, from a slow disk
constexpr std::chrono::milliseconds kNow{0};

std::string TemporaryFolder() {
  const char* set = std::getenv("TMPDIR");
  return set == nullptr || *set == '\0' ? "/tmp" : set;
}

// What changes how our programs and their libraries behave; nothing that may be secret.
constexpr const char* kTellingVariables[] = {
    "LD_LIBRARY_PATH",    "LD_PRELOAD",       "CUDA_VISIBLE_DEVICES",
    "NCCL_DEBUG",         "NCCL_P2P_DISABLE", "NCCL_SHM_DISABLE",
    "NCCL_SOCKET_IFNAME", "OMP_NUM_THREADS",  "OMP_WAIT_POLICY",
    "MALLOC_ARENA_MAX",   "TMPDIR",           "HF_HOME",
    "HF_HUB_CACHE",       "XDG_CACHE_HOME",   "COGWHEEL_MODELS"};

std::string EnvironmentText() {
  std::string text;
  for (const char* name : kTellingVariables) {
    const char* value = std::getenv(name);
    if (value != nullptr) absl::StrAppend(&text, text.empty() ? "" : ", ", name, "=", value);
  }
  return text.empty() ? "nothing of note" : text;
}

// One run, in the order in which things can fail.
class Examination {
 public:
  Examination(const Arguments& arguments, ShutdownSignals& signals)
      : arguments_(arguments),
        signals_(signals),
        folder_(ProgramFolder()),
        machine_(ReadMachine(TemporaryFolder())) {}

  CommandResult Run();

 private:
  void LookAtFrontend();
  void LookAtWorker();
  void LookAtMachine();
  // The model's folder, or nothing and a fault.
  std::optional<std::string> Model();
  ProgramRun Start(std::vector<std::string> argv, bool plain, bool trace = false);
  // Adds what the worker printed.
  void TakeFindings(const ProgramRun& run);
  // What the user's environment loads in place of what the program was built with.
  Finding CompareLoading(const std::string& program);
  std::string FactOf(const std::string& name) const;

  const Arguments& arguments_;
  ShutdownSignals& signals_;
  const fs::path folder_;
  const MachineState machine_;
  Findings facts_, findings_;
  bool interrupted_ = false;
};

bool EnvironmentChangesLoading() {
  return std::ranges::any_of(kLoaderVariables, [](const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0';
  });
}

ProgramRun Examination::Start(std::vector<std::string> argv, bool plain, bool trace) {
  return RunProgram({.argv = std::move(argv),
                     .plain = plain,
                     .trace = trace,
                     .limit_seconds = kWorkerLimitSeconds},
                    [this] { return interrupted_ = interrupted_ || signals_.Wait(kNow); });
}

std::string Examination::FactOf(const std::string& name) const {
  for (const Finding& fact : facts_) {
    if (fact.check == name) return fact.what;
  }
  return "";
}

void Examination::TakeFindings(const ProgramRun& run) {
  for (const std::string& line : run.lines) {
    std::optional<Finding> finding = FindingOf(line);
    if (!finding.has_value()) continue;
    (finding->level == FindingLevel::kFact ? facts_ : findings_).push_back(*std::move(finding));
  }
}

std::optional<std::string> Examination::Model() {
  if (!arguments_.request.model.empty()) return arguments_.request.model;
  const char* models = std::getenv("COGWHEEL_MODELS");
  const absl::StatusOr<fs::path> shipped =
      FindShippedModel(folder_, models == nullptr ? "" : models);
  if (shipped.ok()) return shipped->string();
  findings_.push_back(FaultOf("checkpoint", std::string(shipped.status().message()), ""));
  return std::nullopt;
}

Finding Examination::CompareLoading(const std::string& program) {
  const auto libraries = [&](bool plain) {
    const ProgramRun listed = Start({program}, plain, /*trace=*/true);
    std::string text;
    for (const std::string& line : listed.lines) absl::StrAppend(&text, line, "\n");
    return ParseLoaderTrace(text);
  };
  const bool changed = EnvironmentChangesLoading();
  const LoadedLibraries as_built = changed ? libraries(/*plain=*/true) : LoadedLibraries();
  return CompareLibraries(changed ? libraries(/*plain=*/false) : as_built, as_built);
}

void Examination::LookAtFrontend() {
  const ProgramRun run = Start({folder_ / kServer, "--version"}, /*plain=*/false);
  findings_.push_back(
      run.exit_code == 0
          ? Finding{FindingLevel::kOk, "program", "cogwheel-server starts", ""}
          : ExplainStart({kServer, run.exit_code, run.log, machine_.address_space_bytes}));
}

void Examination::LookAtWorker() {
  const std::optional<std::string> model = Model();
  if (!model.has_value()) return;
  std::vector<std::string> argv =
      WorkerArguments(kUnusedFrontend, {.model_folder = *model, .ranks = arguments_.ranks});
  argv.insert(argv.begin(), {folder_ / kWorker, "--doctor", "yes"});
  const ProgramRun run = Start(argv, /*plain=*/false);
  if (run.exit_code == 0) {
    TakeFindings(run);
    if (auto problem = PreloadProblem(run.log)) findings_.push_back(*std::move(problem));
    findings_.push_back(CompareLoading(folder_ / kWorker));
    return;
  }
  Finding fault = ExplainStart({kWorker, run.exit_code, run.log, machine_.address_space_bytes});
  const bool changed = EnvironmentChangesLoading();
  const ProgramRun plain = changed ? Start(argv, /*plain=*/true) : run;
  if (plain.exit_code == 0) {
    const Finding replaced = CompareLoading(folder_ / kWorker);
    const bool known = replaced.level == FindingLevel::kWarning;  // else the fault itself names it
    fault.check = "libraries";
    fault.what += absl::StrCat(
        " (", known ? replaced.what : "it starts without LD_LIBRARY_PATH and LD_PRELOAD", ")");
    fault.way_out = known ? replaced.way_out
                          : "unset LD_LIBRARY_PATH and LD_PRELOAD, or take that folder out of them";
  }
  TakeFindings(plain);  // what else there is to say
  findings_.push_back(std::move(fault));
}

void Examination::LookAtMachine() {
  const RankFlags& flags = arguments_.ranks;
  MachineNeeds needs = {
      .ranks = flags.cfg_parallel.value_or(1) * flags.ring.value_or(1) * flags.ulysses.value_or(1),
      .on_gpus = flags.device == "cuda" || FactOf("device") == "cuda",
      .cpu_asked = flags.device == "cpu"};
  int chosen = 0;  // by the worker, from its GPUs
  if (absl::SimpleAtoi(FactOf("ranks"), &chosen)) needs.ranks = chosen;
  const Findings about = MachineFacts(machine_);
  facts_.insert(facts_.begin(), about.begin(), about.end());
  const Findings checks = CheckMachine(machine_, needs);
  findings_.insert(findings_.end(), checks.begin(), checks.end());
  findings_.push_back(ProbeLoopback(2 + 2 * needs.ranks));
  findings_.push_back(ProbeFolder(TemporaryFolder()));
}

CommandResult Examination::Run() {
  const absl::Status mesh = CheckMesh(arguments_.ranks);
  if (!mesh.ok()) return ResultOf(mesh);
  LookAtFrontend();
  LookAtWorker();
  if (interrupted_) return ResultOf(absl::CancelledError("interrupted"));
  LookAtMachine();
  facts_.push_back({FindingLevel::kFact, "environment", EnvironmentText(), ""});
  facts_.insert(facts_.begin(), {FindingLevel::kFact, "client",
                                 absl::StrReplaceAll(VersionText(), {{"\n", ", "}}), ""});
  findings_.insert(findings_.begin(), facts_.begin(), facts_.end());
  std::cout << (arguments_.json ? ReportJson(findings_) : ReportText(findings_));
  const std::string faults = FaultSummary(findings_);
  return {faults.empty() ? ExitCode::kDone : ExitCode::kRefused, faults};
}

}  // namespace

CommandResult Doctor(const Arguments& arguments, ShutdownSignals& signals) {
  return Examination(arguments, signals).Run();
}

}  // namespace cogwheel
