#include "client/generate_command.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>

#include <unistd.h>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "base/model_path.h"
#include "client/generation_client.h"
#include "client/interruptible.h"
#include "client/job_follower.h"
#include "client/output_name.h"
#include "client/output_writer.h"
#include "client/private_service.h"
#include "client/progress_bar.h"
#include "client/request_builder.h"
#include "client/shipped_model.h"
#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kWorthTelling{3};

// Everything of one run, in the order in which it comes to be.
class GenerateRun {
 public:
  GenerateRun(const Arguments& arguments, ShutdownSignals& signals)
      : arguments_(arguments),
        signals_(signals),
        begin_(clock_.Now()),
        bar_(clock_, DescribeTerminal(STDERR_FILENO), std::cerr) {}

  CommandResult Run();

 private:
  absl::Status Prepare();
  absl::Status StartService();
  // The job from request to a checked file; on the RPC thread.
  absl::Status Work();
  void Cancel();
  absl::Status FetchMissing();
  absl::Status FetchRest();
  std::unique_ptr<JobFollower> MakeFollower();
  // False of standard output: the pieces of an attempt that is lost could not be taken back.
  bool TakesPieces() const { return output_ != kStandardOutput; }
  CommandResult Finish(bool interrupted, const absl::Status& worked);
  CommandResult WithLogs(CommandResult result) const;
  void Announce() const;

  const Arguments& arguments_;
  ShutdownSignals& signals_;
  SystemClock clock_;
  const std::chrono::steady_clock::time_point begin_;
  ProgressBar bar_;
  v1::GenerateRequest request_;
  std::string output_;
  std::unique_ptr<OutputWriter> writer_;
  std::unique_ptr<PrivateService> service_;
  std::unique_ptr<GenerationClient> client_;
  std::unique_ptr<JobFollower> follower_;
  std::atomic<bool> cancelled_{false};
  absl::Status service_ended_;  // why the private service cannot finish the job
};

absl::StatusOr<std::filesystem::path> ModelFolder(const std::string& given) {
  if (given.empty()) {
    const char* models = std::getenv("COGWHEEL_MODELS");
    return FindShippedModel(ProgramFolder(), models == nullptr ? "" : models);
  }
  const absl::StatusOr<std::string> folder = FindModel(given);
  // A local file's fault, of a disk that fails too: UNAVAILABLE is a server's.
  if (!folder.ok()) return absl::FailedPreconditionError(folder.status().message());
  std::error_code error;
  return std::filesystem::absolute(*folder, error);
}

// "starting 4 ranks of shapes"
std::string StartingWords(const RankFlags& flags, const std::filesystem::path& model) {
  const int ranks =
      flags.cfg_parallel.value_or(1) * flags.ring.value_or(1) * flags.ulysses.value_or(1);
  const std::string of = model.filename().string();
  return ranks > 1 ? absl::StrCat("starting ", ranks, " ranks of ", of)
                   : absl::StrCat("starting ", of);
}

// Where the seconds that jobs took are kept for later runs; "" where this user has no such place.
std::string CostsFilePath() {
  const auto folder = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  const std::filesystem::path cache = folder("XDG_CACHE_HOME"), home = folder("HOME");
  if (cache.is_absolute()) return cache / "cogwheel" / "costs.json";
  return home.is_absolute() ? home / ".cache" / "cogwheel" / "costs.json" : "";
}

absl::Status GenerateRun::Prepare() {
  RequestFlags flags = arguments_.request;
  if (arguments_.server.empty()) flags.model.clear();  // a folder's path; the service knows one
  absl::StatusOr<v1::GenerateRequest> request = BuildRequest(flags);
  if (!request.ok()) return request.status();
  request_ = *std::move(request);
  if (!request_.has_seed()) request_.set_seed(std::random_device{}());
  if (arguments_.server.empty()) {
    const absl::Status mesh = CheckMesh(arguments_.ranks);
    if (!mesh.ok()) return mesh;
  }
  const bool video = request_.output_type() <= v1::OUTPUT_TYPE_VIDEO;
  const Container container = video ? Container::kMp4 : Container::kSafetensors;
  output_ = arguments_.output.empty() ? DefaultOutput(container) : arguments_.output;
  const absl::Status suffix = CheckSuffix(output_, container);
  if (!suffix.ok()) return suffix;
  absl::StatusOr<std::unique_ptr<OutputWriter>> writer = OutputWriter::Create(output_);
  if (!writer.ok()) return writer.status();
  writer_ = *std::move(writer);
  return absl::OkStatus();
}

absl::Status GenerateRun::StartService() {
  const absl::StatusOr<std::filesystem::path> model = ModelFolder(arguments_.request.model);
  if (!model.ok()) return model.status();
  const std::string activity = StartingWords(arguments_.ranks, *model);
  const auto going_on = [this, &activity] {
    const auto waited = std::chrono::duration_cast<std::chrono::seconds>(clock_.Now() - begin_);
    const std::string time = waited < kWorthTelling ? "" : absl::StrCat(", ", waited.count(), " s");
    if (!arguments_.json) bar_.Update(activity + time);
    return signals_.Wait(std::chrono::milliseconds(0));
  };
  going_on();
  auto service = PrivateService::Start({.program_folder = ProgramFolder(),
                                        .model_folder = *model,
                                        .ranks = arguments_.ranks,
                                        .costs_file = CostsFilePath()},
                                       going_on);
  if (!service.ok()) return service.status();
  service_ = *std::move(service);
  return absl::OkStatus();
}

absl::Status GenerateRun::Work() {
  const absl::StatusOr<v1::Job> job = client_->CreateJob(request_, /*hold=*/true);
  if (!job.ok()) return job.status();
  follower_->Begin(*job);
  if (cancelled_) client_->CancelJob(job->name()).status().IgnoreError();
  const absl::Status followed =
      client_->Watch(job->name(), {.include_video = TakesPieces(), .hold = true},
                     [this](const v1::JobEvent& event) { return follower_->Handle(event); });
  if (!followed.ok() || follower_->state() != v1::SUCCEEDED) return followed;
  const absl::Status fetched = FetchMissing();
  return fetched.ok() ? writer_->Commit() : fetched;
}

// Before the job has a name, Work cancels it as soon as it has.
void GenerateRun::Cancel() {
  cancelled_ = true;
  const std::string job = follower_->job();
  if (!job.empty() && !client_->CancelJob(job).ok()) client_->Stop();
}

// Pieces of the result came with the events, or some of them, or none; or, with a gap or of two
// attempts, some that do not belong together: then all come anew.
absl::Status GenerateRun::FetchMissing() {
  const v1::Succeeded& result = follower_->succeeded();
  absl::Status checked = writer_->Check(result.size_bytes(), result.sha256());
  if (checked.ok()) return checked;
  if (writer_->size() < result.size_bytes()) checked = FetchRest();
  if (!absl::IsDataLoss(checked)) return checked;
  return writer_->Restart().ok() ? FetchRest() : checked;  // standard output takes nothing back
}

absl::Status GenerateRun::FetchRest() {
  const v1::Succeeded& result = follower_->succeeded();
  const absl::Status downloaded = client_->Download(
      follower_->job(), writer_->size(),
      [this](const v1::Chunk& chunk) { return writer_->Write(chunk.offset(), chunk.data()); });
  return downloaded.ok() ? writer_->Check(result.size_bytes(), result.sha256()) : downloaded;
}

std::unique_ptr<JobFollower> GenerateRun::MakeFollower() {
  return std::make_unique<JobFollower>(
      JobFollower::Json{arguments_.json ? &std::cout : nullptr, arguments_.previews}, bar_,
      TakesPieces() ? writer_.get() : nullptr);
}

CommandResult GenerateRun::Run() {
  absl::StatusOr<ServerAccess> access = OpenAccess(arguments_.access);
  const bool remote = !arguments_.server.empty();
  absl::Status ready = remote ? access.status() : absl::OkStatus();
  if (ready.ok()) ready = Prepare();
  if (ready.ok() && !remote) ready = StartService();
  if (!ready.ok()) {
    bar_.Clear();
    return ResultOf(ready);
  }
  client_ = service_ ? std::make_unique<GenerationClient>(service_->address())
                     : std::make_unique<GenerationClient>(arguments_.server, *std::move(access));
  follower_ = MakeFollower();
  absl::Status worked;
  const InterruptionHandlers handlers = {.ask = [this] { Cancel(); },
                                         .stop = [this] { client_->Stop(); },
                                         .leave =
                                             [this] {
                                               if (service_) service_->Abandon();
                                               unlink(writer_->temporary().c_str());
                                             },
                                         .check =
                                             [this] {
                                               bar_.Tick();
                                               if (service_)
                                                 service_ended_ = service_->CheckAlive();
                                               return service_ended_.ok();
                                             }};
  const bool interrupted = RunInterruptible(signals_, [&] { worked = Work(); }, handlers);
  bar_.Clear();
  return Finish(interrupted, worked);
}

// A server that cannot be reached is not needed.
absl::Status WithOtherWay(const absl::Status& status) {
  if (!absl::IsUnavailable(status) || !ErrorReason(status).empty()) return status;
  return absl::UnavailableError(
      absl::StrCat(status.message(), " (without --server everything is started here)"));
}

CommandResult GenerateRun::Finish(bool interrupted, const absl::Status& worked) {
  if (follower_->state() == v1::SUCCEEDED && worked.ok()) {
    Announce();
    return {};
  }
  if (interrupted) return {ExitCode::kCancelled, "interrupted; the job is cancelled"};
  if (!service_ended_.ok()) return WithLogs(ResultOf(service_ended_));
  const bool never_reached = !arguments_.server.empty() && follower_->job().empty();
  if (!worked.ok()) return WithLogs(ResultOf(never_reached ? WithOtherWay(worked) : worked));
  return WithLogs(follower_->Result());
}

// A refusal says all there is to say; for anything else the logs tell more.
CommandResult GenerateRun::WithLogs(CommandResult result) const {
  const bool broken =
      result.exit_code == ExitCode::kFailed || result.exit_code == ExitCode::kUnavailable;
  if (service_ == nullptr || !broken) return result;
  const std::string log = service_->KeepLogs();
  if (!log.empty()) absl::StrAppend(&result.failure, "; log: ", log);
  return result;
}

void GenerateRun::Announce() const {
  const double seconds = std::chrono::duration<double>(clock_.Now() - begin_).count();
  // Standard output may hold messages only, or the result.
  const bool taken = arguments_.json || output_ == kStandardOutput;
  (taken ? std::cerr : std::cout) << absl::StrFormat("%s  seed %d  %.1f s\n", output_,
                                                     request_.seed(), seconds)
                                  << std::flush;
}

}  // namespace

CommandResult Generate(const Arguments& arguments, ShutdownSignals& signals) {
  return GenerateRun(arguments, signals).Run();
}

}  // namespace cogwheel
