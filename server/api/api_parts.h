#pragma once

#include "base/clock.h"
#include "base/io_pool.h"
#include "server/api/access.h"
#include "server/api/call_limiter.h"
#include "server/dispatch/dispatcher.h"
#include "server/dispatch/input_keeper.h"
#include "server/dispatch/intake.h"
#include "server/dispatch/janitor.h"
#include "server/events/event_log.h"
#include "server/groups/group_board.h"
#include "server/job/job_store.h"
#include "server/job/result_store.h"
#include "server/metrics/server_metrics.h"
#include "server/schedule/standing_orders.h"
#include "server/streams/holders.h"
#include "server/streams/stream_registry.h"

namespace cogwheel {

// What the RPCs are translated to.
struct ApiParts {
  Intake& intake;
  InputKeeper& inputs;
  Dispatcher& dispatcher;
  Janitor& janitor;
  IoPool& io;  // where calls read store and files
  JobStore& store;
  ResultStore& results;
  EventLog& events;
  GroupBoard& board;
  const StandingOrders& orders;
  StreamRegistry& streams;
  Holders& holders;
  const AccessControl& access;
  CallLimiter& limiter;
  const Clock& clock;
  ServerMetrics& metrics;
};

}  // namespace cogwheel
