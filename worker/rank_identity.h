#pragma once

#include <string>

#include "worker/metrics/rank_admin.h"
#include "worker/rpc/wire_orders.h"
#include "worker/settings.h"

// What a rank is called, by the frontend, on its admin port and by people.
namespace cogwheel {

// Which of a host's ranks a process is.
struct HostPlace {
  int local_rank = 0;
  bool replaces_killed_for_memory = false;  // the last process of the place (Launcher)
  bool frontend_missed = false;             // its last process has said that the frontend is away
};

// How people know it until it has its world rank: "rank 2 of 4", of a group on several hosts
// "rank 1 of 2 on this host".
std::string RankName(const WorkerSettings& settings, int local_rank);

RankIdentity IdentityOf(const WorkerSettings& settings, const ModelDescription& model,
                        const HostPlace& place, const std::string& peer_address);
RankAdmin::Identity ShownOf(const WorkerSettings& settings, const ModelDescription& model,
                            int local_rank);

}  // namespace cogwheel
