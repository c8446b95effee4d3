#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/io_pool.h"
#include "base/mutex.h"
#include "cogwheel/config/v1/config.pb.h"
#include "server/api/access.h"
#include "server/dispatch/dispatcher.h"
#include "server/dispatch/event_loop.h"
#include "server/dispatch/input_keeper.h"
#include "server/dispatch/janitor.h"
#include "server/dispatch/store_health.h"
#include "server/housekeeper.h"
#include "server/store_probe.h"
#include "server/stores.h"
#include "server/streams/stream_registry.h"

namespace cogwheel {

// What a frontend does beside its work: tries its store, sweeps and trims, reads the access file
// again and what tenants have used, ends the streams of tokens that hold no more, and shows in
// metrics how much waits. Nothing of it holds up the loop.
class Upkeep {
 public:
  struct Parts {
    const config::v1::ServerConfig& config;
    EventLoop& loop;
    Stores& stores;
    StoreHealth& health;
    Dispatcher& dispatcher;
    Janitor& janitor;
    InputKeeper& inputs;
    AccessControl& access;
    StreamRegistry& streams;
    IoPool& pool;  // whose lines run in order
    const Clock& clock;
    std::function<void()> tenants_changed;  // called on the loop's thread
  };
  explicit Upkeep(const Parts& parts);

  // On the loop's thread, several times a second.
  void Tick();
  // Results without an owner, which get none any more.
  void SweepLeftovers();
  // Reads the store. Several may call at once.
  void ShowTotals() COGWHEEL_EXCLUDES(totals_mutex_);

 private:
  void AddChores();
  void CloseRefused();
  void ReadUsage();
  void ShowQueues();
  void ShowCertificates();

  const Parts parts_;
  ServerMetrics& metrics_;
  StoreProbe probe_;
  Housekeeper chores_;
  const std::map<std::string, std::string> certificates_;  // file by role
  Mutex totals_mutex_;
};

}  // namespace cogwheel
