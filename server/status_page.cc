#include "server/status_page.h"

#include <nlohmann/json.hpp>

namespace cogwheel {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const v1::Group& group) {
  Json ranks = Json::array();
  for (const v1::Rank& rank : group.ranks()) {
    ranks.push_back({{"world_rank", rank.world_rank()},
                     {"host", rank.host()},
                     {"device", rank.device()},
                     {"version", rank.version()},
                     {"state", v1::RankState_Name(rank.state())}});
  }
  return {{"name", group.name()},
          {"model", group.model()},
          {"epoch", group.epoch()},
          {"ready", group.ready()},
          {"mesh",
           {{"cfg", group.mesh().cfg()},
            {"ring", group.mesh().ring()},
            {"ulysses", group.mesh().ulysses()}}},
          {"busy", !group.running_job().empty()},  // not which job: its tenant alone may know
          {"ranks", std::move(ranks)}};
}

}  // namespace

std::string StatusPage(const std::string& reason, std::chrono::seconds uptime,
                       const AdmissionLedger& ledger, const GroupBoard& board) {
  const QueueAmount load = ledger.load();
  const QueueAmount& limits = ledger.limits();
  Json groups = Json::array();
  for (const v1::Group& group : board.List()) groups.push_back(ToJson(group));
  const Json page = {
      {"version", COGWHEEL_VERSION},
      {"uptime_seconds", uptime.count()},
      {"serving", reason.empty()},
      {"reason", reason},
      {"queue",
       {{"jobs", load.jobs},
        {"bytes", load.bytes},
        {"seconds", load.seconds},
        {"limit_jobs", limits.jobs},
        {"limit_bytes", limits.bytes},
        {"limit_seconds", limits.seconds}}},
      {"groups", std::move(groups)},
  };
  return page.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace cogwheel
