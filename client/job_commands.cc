#include "client/job_commands.h"

#include <ctime>
#include <iostream>
#include <memory>

#include <unistd.h>

#include <absl/strings/str_cat.h>

#include "base/mutex.h"
#include "client/generation_client.h"
#include "client/interruptible.h"
#include "client/job_follower.h"
#include "client/json_output.h"
#include "client/list_commands.h"
#include "client/output_name.h"
#include "client/output_writer.h"
#include "client/progress_bar.h"
#include "client/request_builder.h"
#include "client/state_words.h"
#include "client/text_output.h"
#include "proto/contract/validate.h"

namespace cogwheel {
namespace {

int64_t Now() { return std::time(nullptr); }

class ServerCommand {
 public:
  ServerCommand(const Arguments& arguments, GenerationClient& client)
      : arguments_(arguments), client_(client) {}

  CommandResult Run();
  // What a download has written so far; removed when the process leaves at once.
  std::string temporary() const COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return temporary_;
  }
  void Tick() { bar_.Tick(); }
  // The parts that can fail before the server is asked.
  absl::Status Prepare();

 private:
  CommandResult Submit();
  CommandResult Get();
  CommandResult Watch();
  CommandResult Cancel();
  CommandResult Delete();
  CommandResult Download();
  absl::Status Write(const v1::Chunk& chunk);
  absl::Status OpenOutput(const std::string& output);
  // JSON, or `text`.
  void Print(const google::protobuf::Message& message, const std::string& text) const;

  const Arguments& arguments_;
  GenerationClient& client_;
  v1::GenerateRequest request_;
  std::string job_;
  std::string output_;
  std::unique_ptr<OutputWriter> writer_;
  const SystemClock clock_;
  ProgressBar bar_{clock_, DescribeTerminal(STDERR_FILENO), std::cerr};
  mutable Mutex mutex_;
  std::string temporary_ COGWHEEL_GUARDED_BY(mutex_);
};

absl::Status ServerCommand::Prepare() {
  if (!arguments_.job.empty()) {
    absl::StatusOr<std::string> job = NormalizeJobName(arguments_.job);
    if (!job.ok()) return job.status();
    job_ = *std::move(job);
  }
  if (arguments_.command == Command::kSubmit) {
    absl::StatusOr<v1::GenerateRequest> request = BuildRequest(arguments_.request);
    if (!request.ok()) return request.status();
    request_ = *std::move(request);
  }
  const bool writes = arguments_.command == Command::kDownload;
  return writes && !arguments_.output.empty() ? OpenOutput(arguments_.output) : absl::OkStatus();
}

absl::Status ServerCommand::OpenOutput(const std::string& output) {
  absl::StatusOr<std::unique_ptr<OutputWriter>> writer = OutputWriter::Create(output);
  if (!writer.ok()) return writer.status();
  writer_ = *std::move(writer);
  output_ = output;
  MutexLock lock(mutex_);
  temporary_ = writer_->temporary();
  return absl::OkStatus();
}

void ServerCommand::Print(const google::protobuf::Message& message, const std::string& text) const {
  std::cout << (arguments_.json ? JsonLine(message) + "\n" : text);
}

CommandResult ServerCommand::Submit() {
  const absl::StatusOr<v1::Job> job = client_.CreateJob(request_, /*hold=*/false);
  if (!job.ok()) return ResultOf(job.status());
  for (const std::string& warning : job->warnings()) std::cerr << WarningLine(warning);
  Print(*job, job->name() + "\n");
  return {};
}

CommandResult ServerCommand::Get() {
  const absl::StatusOr<v1::Job> job = client_.GetJob(job_);
  if (!job.ok()) return ResultOf(job.status());
  Print(*job, JobText(*job, Now()));
  return {};
}

CommandResult ServerCommand::Watch() {
  JobFollower follower({arguments_.json ? &std::cout : nullptr, arguments_.previews}, bar_,
                       /*writer=*/nullptr);
  const absl::Status status = client_.Watch(
      job_, /*mode=*/{}, [&follower](const v1::JobEvent& event) { return follower.Handle(event); });
  bar_.Clear();
  if (!status.ok()) return ResultOf(status);
  if (!arguments_.json) {
    std::cout << job_ << " " << StateWord(follower.state()) << "\n";
  }
  return follower.Result();
}

CommandResult ServerCommand::Cancel() {
  const absl::StatusOr<v1::Job> job = client_.CancelJob(job_);
  if (!job.ok()) return ResultOf(job.status());
  Print(*job, JobLine(*job));
  return {};
}

CommandResult ServerCommand::Delete() {
  const absl::Status status = client_.DeleteJob(job_);
  if (!status.ok()) return ResultOf(status);
  Print(v1::DeleteJobResponse(), absl::StrCat(job_, " deleted\n"));
  return {};
}

// What the result is, the first piece says.
absl::Status ServerCommand::Write(const v1::Chunk& chunk) {
  const Container container = ContainerOf(chunk.media_type());
  if (writer_ == nullptr) {
    const absl::Status opened = OpenOutput(DefaultOutput(container));
    if (!opened.ok()) return opened;
  }
  if (!chunk.media_type().empty()) {
    const absl::Status suffix = CheckSuffix(output_, container);
    if (!suffix.ok()) return suffix;
  }
  return writer_->Write(chunk.offset(), chunk.data());
}

CommandResult ServerCommand::Download() {
  v1::Chunk last;
  v1::Succeeded result;
  const absl::Status status = client_.Download(job_, 0, [&](const v1::Chunk& chunk) {
    if (chunk.last()) last = chunk;
    if (!chunk.media_type().empty()) result.set_media_type(chunk.media_type());
    return Write(chunk);
  });
  if (!status.ok()) return ResultOf(status);
  const absl::Status checked = writer_->Check(last.size_bytes(), last.sha256());
  if (!checked.ok()) return ResultOf(checked);
  const absl::Status committed = writer_->Commit();
  if (!committed.ok()) return ResultOf(committed);
  result.set_size_bytes(last.size_bytes());
  result.set_sha256(last.sha256());
  const std::string told = absl::StrCat(output_, "  ", last.size_bytes(), " bytes\n");
  if (output_ == kStandardOutput) {
    std::cerr << told;
  } else {
    Print(result, told);
  }
  return {};
}

CommandResult ServerCommand::Run() {
  switch (arguments_.command) {
    case Command::kSubmit:
      return Submit();
    case Command::kGet:
      return Get();
    case Command::kList:
      return ListJobs(arguments_, client_);
    case Command::kWatch:
      return Watch();
    case Command::kCancel:
      return Cancel();
    case Command::kDelete:
      return Delete();
    case Command::kDownload:
      return Download();
    case Command::kHealth:
      return ShowHealth(arguments_, client_);
    case Command::kModels:
      return ListModels(arguments_, client_);
    case Command::kGroups:
      return ListGroups(arguments_, client_);
    default:
      break;
  }
  return {ExitCode::kFailed, "not a command of a server"};
}

}  // namespace

CommandResult RunOnServer(const Arguments& arguments, ShutdownSignals& signals) {
  absl::StatusOr<ServerAccess> access = OpenAccess(arguments.access);
  if (!access.ok()) return ResultOf(access.status());
  GenerationClient client(arguments.server, *std::move(access));
  ServerCommand command(arguments, client);
  const absl::Status ready = command.Prepare();
  if (!ready.ok()) return ResultOf(ready);
  CommandResult result;
  const InterruptionHandlers handlers = {
      .ask = [&client] { client.Stop(); },
      .stop = [&client] { client.Stop(); },
      .leave = [&command] { unlink(command.temporary().c_str()); },
      .check =
          [&command] {
            command.Tick();
            return true;
          }};
  const bool interrupted = RunInterruptible(signals, [&] { result = command.Run(); }, handlers);
  if (interrupted && result.exit_code == ExitCode::kCancelled) result.failure = "interrupted";
  return result;
}

}  // namespace cogwheel
