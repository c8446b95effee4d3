#include "client/operate_commands.h"

#include <iostream>

#include <absl/strings/str_cat.h>

#include "client/interruptible.h"
#include "client/json_output.h"
#include "client/operate_client.h"
#include "client/text_output.h"
#include "client/usage_table.h"
#include "proto/contract/validate.h"

namespace cogwheel {
namespace {

using Stub = OperateClient::Stub;

// The commands, each as its request and as what people read of the answer.
class OperatorsCommand {
 public:
  OperatorsCommand(const Arguments& arguments, OperateClient& client)
      : arguments_(arguments), flags_(arguments.operate), client_(client) {}

  CommandResult Run();

 private:
  // `text` says in words what an answer means.
  template <typename Request, typename Response, typename Text>
  CommandResult Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                     const Request& request, const Text& text) {
    const absl::StatusOr<Response> response = client_.Call(method, request);
    if (!response.ok()) return ResultOf(response.status());
    std::cout << (arguments_.json ? JsonLine(*response) + "\n" : text(*response));
    return {};
  }
  // Of an answer that says nothing.
  template <typename Request, typename Response>
  CommandResult Order(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request, const std::string& sentence) {
    return Call(method, request, [&sentence](const Response&) { return OneLine(sentence) + "\n"; });
  }
  template <typename Request>
  Request Named() const {
    Request request;
    request.set_name(flags_.name);
    return request;
  }
  template <typename Request>
  Request Targeting() const {
    Request request;
    if (!flags_.model.empty()) request.set_model(flags_.model);
    if (!flags_.tenant.empty()) request.set_tenant(flags_.tenant);
    return request;
  }
  std::string Target() const {
    return flags_.tenant.empty() ? "model " + flags_.model : "tenant " + flags_.tenant;
  }
  CommandResult Usage();
  CommandResult Pause();
  CommandResult Fail(const std::string& job);
  CommandResult Requeue(const std::string& job);
  CommandResult Purge();
  CommandResult Backup();
  CommandResult SetLogLevel();
  CommandResult RunOnJob();

  const Arguments& arguments_;
  const OperateFlags& flags_;
  OperateClient& client_;
};

CommandResult OperatorsCommand::Usage() {
  v1::GetUsageRequest request;
  request.set_tenant(flags_.tenant);
  if (flags_.from.has_value()) *request.mutable_from() = *flags_.from;
  if (flags_.to.has_value()) *request.mutable_to() = *flags_.to;
  return Call(&Stub::GetUsage, request, [](const v1::GetUsageResponse& response) {
    if (response.usage().empty()) std::cerr << "cogwheel: nothing was used in that time\n";
    return UsageTable(response);
  });
}

CommandResult OperatorsCommand::Pause() {
  auto request = Targeting<v1::PauseRequest>();
  request.set_reason(flags_.reason);
  return Order(&Stub::Pause, request, Target() + " is paused; its jobs wait");
}

CommandResult OperatorsCommand::Requeue(const std::string& job) {
  v1::RequeueJobRequest request;
  request.set_name(job);
  return Call(&Stub::RequeueJob, request, JobLine);
}

CommandResult OperatorsCommand::Fail(const std::string& job) {
  v1::FailJobRequest request;
  request.set_name(job);
  request.set_reason(flags_.reason);
  return Call(&Stub::FailJob, request, JobLine);
}

CommandResult OperatorsCommand::RunOnJob() {
  const absl::StatusOr<std::string> job = NormalizeJobName(arguments_.job);
  if (!job.ok()) return ResultOf(job.status());
  return arguments_.command == Command::kFail ? Fail(*job) : Requeue(*job);
}

CommandResult OperatorsCommand::Purge() {
  v1::PurgeRequest request;
  request.set_tenant(flags_.tenant);
  *request.mutable_before() = flags_.before.value();
  return Call(&Stub::Purge, request, [](const v1::PurgeResponse& purged) {
    return absl::StrCat(purged.jobs(), " jobs removed, ", purged.result_bytes(),
                        " bytes of results\n");
  });
}

CommandResult OperatorsCommand::Backup() {
  return Call(&Stub::Backup, Named<v1::BackupRequest>(), [](const v1::BackupResponse& made) {
    return absl::StrCat(OneLine(made.name()), "  ", made.size_bytes(), " bytes\n");
  });
}

CommandResult OperatorsCommand::SetLogLevel() {
  v1::SetLogLevelRequest request;
  request.set_level(flags_.name);
  return Call(&Stub::SetLogLevel, request, [&](const v1::SetLogLevelResponse& response) {
    return absl::StrCat("log level ", flags_.name, ", before it ", OneLine(response.former()),
                        "\n");
  });
}

CommandResult OperatorsCommand::Run() {
  const std::string& name = flags_.name;
  switch (arguments_.command) {
    case Command::kUsage:
      return Usage();
    case Command::kDrain:
      return Order(&Stub::DrainGroup, Named<v1::DrainGroupRequest>(),
                   "group " + name + " gets no more jobs");
    case Command::kResume:
      return Order(&Stub::ResumeGroup, Named<v1::ResumeGroupRequest>(),
                   "group " + name + " gets jobs again");
    case Command::kPause:
      return Pause();
    case Command::kUnpause:
      return Order(&Stub::Unpause, Targeting<v1::UnpauseRequest>(), Target() + " goes on");
    case Command::kRequeue:
    case Command::kFail:
      return RunOnJob();
    case Command::kRetire:
      return Order(&Stub::RetireModel, Named<v1::RetireModelRequest>(),
                   "model " + name + " is retired");
    case Command::kPurge:
      return Purge();
    case Command::kBackup:
      return Backup();
    case Command::kLogLevel:
      return SetLogLevel();
    default:
      break;
  }
  return {ExitCode::kFailed, "not an operator's command"};
}

}  // namespace

bool IsOperatorsCommand(Command command) {
  return command >= Command::kUsage && command <= Command::kLogLevel;
}

CommandResult Operate(const Arguments& arguments, ShutdownSignals& signals) {
  absl::StatusOr<ServerAccess> access = OpenAccess(arguments.access);
  if (!access.ok()) return ResultOf(access.status());
  OperateClient client(arguments.server, *std::move(access));
  CommandResult result;
  const InterruptionHandlers handlers = {.ask = [&client] { client.Stop(); },
                                         .stop = [&client] { client.Stop(); },
                                         .leave = [] {},
                                         .check = [] { return true; }};
  const bool interrupted = RunInterruptible(
      signals, [&] { result = OperatorsCommand(arguments, client).Run(); }, handlers);
  if (interrupted && result.exit_code == ExitCode::kCancelled) result.failure = "interrupted";
  return result;
}

}  // namespace cogwheel
