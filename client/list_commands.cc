#include "client/list_commands.h"

#include <ctime>
#include <iostream>

#include <unistd.h>

#include <absl/strings/str_cat.h>
#include <nlohmann/json.hpp>

#include "client/json_output.h"
#include "client/state_words.h"
#include "client/terminal.h"
#include "client/text_output.h"

namespace cogwheel {
namespace {

constexpr int kShownJobs = 20;

void Hint(const std::string& sentence) { std::cerr << "cogwheel: " << sentence << "\n"; }

// Ranks come where clients do, unless the server says otherwise: it has to off this machine, with
// an --internal-listen that nobody here knows.
std::string StartWorker(const Arguments& arguments) {
  const std::string& server = arguments.server;
  const bool loopback = server.starts_with("127.") || server.starts_with("localhost:") ||
                        server.starts_with("[::1]:");
  return absl::StrCat("start cogwheel-worker --frontend ", loopback ? server : "HOST:PORT",
                      " --model DIR",
                      loopback ? "" : ", with the server's --internal-listen as HOST:PORT");
}

CommandResult ListAsJson(const GenerationClient::JobFilter& filter, GenerationClient& client) {
  return ResultOf(
      client.ListJobs(filter, [](const v1::Job& job) { std::cout << JsonLine(job) << "\n"; })
          .status());
}

}  // namespace

CommandResult ListJobs(const Arguments& arguments, GenerationClient& client) {
  const int limit = arguments.limit.value_or(arguments.json ? 0 : kShownJobs);
  if (arguments.json) return ListAsJson({arguments.states, limit}, client);
  std::vector<v1::Job> jobs;
  const absl::StatusOr<bool> more = client.ListJobs(
      {arguments.states, limit}, [&jobs](const v1::Job& job) { jobs.push_back(job); });
  if (!more.ok()) return ResultOf(more.status());
  if (jobs.empty()) {
    Hint(arguments.states.empty() ? "no jobs yet" : "no jobs in that state");
    return {};
  }
  const Terminal terminal = DescribeTerminal(STDOUT_FILENO);
  std::cout << JobTable(jobs, std::time(nullptr), terminal.interactive ? terminal.columns() : 0);
  if (*more) Hint(absl::StrCat("the ", limit, " newest; --limit N shows more, --limit 0 all"));
  return {};
}

CommandResult ListModels(const Arguments& arguments, GenerationClient& client) {
  const absl::StatusOr<v1::ListModelsResponse> models = client.ListModels();
  if (!models.ok()) return ResultOf(models.status());
  if (arguments.json) {
    std::cout << JsonLine(*models) << "\n";
    return {};
  }
  std::string text;
  for (const v1::Model& model : models->models()) {
    absl::StrAppend(&text, text.empty() ? "" : "\n", ModelText(model));
  }
  std::cout << text;
  if (text.empty()) Hint("no models: no group has joined; " + StartWorker(arguments));
  return {};
}

CommandResult ListGroups(const Arguments& arguments, GenerationClient& client) {
  const absl::StatusOr<v1::ListGroupsResponse> groups = client.ListGroups();
  if (!groups.ok()) return ResultOf(groups.status());
  if (arguments.json) {
    std::cout << JsonLine(*groups) << "\n";
    return {};
  }
  for (const v1::Group& group : groups->groups()) std::cout << GroupText(group);
  if (groups->groups().empty()) Hint("no groups yet; " + StartWorker(arguments));
  return {};
}

CommandResult ShowHealth(const Arguments& arguments, GenerationClient& client) {
  const absl::StatusOr<std::string> health = client.Health();
  if (!health.ok()) return ResultOf(health.status());
  std::cout << (arguments.json ? nlohmann::json{{"status", *health}}.dump() : HealthWords(*health))
            << "\n";
  if (*health == "SERVING") return {};
  return {ExitCode::kUnavailable,
          absl::StrCat("server ", arguments.server, " would not start a job now (",
                       HealthWords(*health), "): no group is ready, or it drains; see groups")};
}

}  // namespace cogwheel
