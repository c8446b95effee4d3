#pragma once

#include <map>
#include <string>

#include "base/mutex.h"
#include "server/groups/group_board.h"
#include "server/metrics/server_metrics.h"
#include "server/schedule/admission.h"
#include "server/schedule/standing_orders.h"

namespace grpc {
class HealthCheckServiceInterface;
}

namespace cogwheel {

// Keeps grpc.health.v1 truthful: "" and cogwheel.v1.VideoService serve while some group is formed
// with no rank suspect and not drained, nor its model paused, the queue has room and no shutdown
// has begun; each group serves under its own name, cogwheel.v1.OperateService until a shutdown. It
// looks neither at the store and its disk nor at which model a request names. Update is called on
// the dispatcher's thread, Drain and Reason from any.
class Readiness {
 public:
  Readiness(const GroupBoard& board, const AdmissionLedger& ledger, const StandingOrders& orders,
            ServerMetrics& metrics)
      : board_(board), ledger_(ledger), orders_(orders), metrics_(metrics) {}

  // `health` is borrowed until Drain.
  void Serve(grpc::HealthCheckServiceInterface* health) COGWHEEL_EXCLUDES(mutex_);
  void Update() COGWHEEL_EXCLUDES(mutex_);
  void Drain() COGWHEEL_EXCLUDES(mutex_);
  // Why they do not serve; "" when they do.
  std::string Reason() const COGWHEEL_EXCLUDES(mutex_);

 private:
  bool Serves(const v1::Group& group) const;
  std::string ReasonNow() const COGWHEEL_REQUIRES(mutex_);
  void Set(const std::string& service, bool serving) COGWHEEL_REQUIRES(mutex_);

  const GroupBoard& board_;
  const AdmissionLedger& ledger_;
  const StandingOrders& orders_;
  ServerMetrics& metrics_;
  mutable Mutex mutex_;
  grpc::HealthCheckServiceInterface* health_ COGWHEEL_GUARDED_BY(mutex_) = nullptr;
  bool draining_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::map<std::string, bool> told_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
