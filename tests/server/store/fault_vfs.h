#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/mutex.h"

struct sqlite3_vfs;

namespace cogwheel {

// SQLite's file system over the default one, which counts calls, fails one of them and remembers
// what a power loss would leave: the bytes as of the last sync, and any part of those written
// since, in any order, torn at sectors. Real syncs are left out. Registered while it lives, one at
// a time. Thread-safe.
class FaultVfs {
 public:
  enum class Call { kOpen, kRead, kWrite, kTruncate, kSync };
  enum class Fault { kNone, kInputOutput, kFull, kShortWrite };
  using Decide = std::function<Fault(Call call)>;  // asked before each call

  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  static constexpr const char* kName = "cogwheel-fault";
  void OnCall(Decide decide) COGWHEEL_EXCLUDES(mutex_);

  // Writes what a power loss now would leave of each file into `folder`. Of what was not synced,
  // each write is kept whole, torn or dropped, by chance; with no `chance` all of it is dropped.
  void SaveImage(const std::string& folder, std::mt19937* chance) const COGWHEEL_EXCLUDES(mutex_);

  // For the methods of its files.
  struct Pending {
    int64_t offset = 0;  // of the bytes; the new size when it is a truncation
    std::string bytes;
    bool truncation = false;
  };
  struct Content {
    std::string durable;
    std::vector<Pending> pending;
  };
  Fault Ask(Call call) COGWHEEL_EXCLUDES(mutex_);
  void Opened(const std::string& path) COGWHEEL_EXCLUDES(mutex_);
  void Deleted(const std::string& path) COGWHEEL_EXCLUDES(mutex_);  // durable at once
  void Changed(const std::string& path, Pending change) COGWHEEL_EXCLUDES(mutex_);
  void Synced(const std::string& path) COGWHEEL_EXCLUDES(mutex_);

 private:
  const std::unique_ptr<sqlite3_vfs> vfs_;
  mutable Mutex mutex_;
  Decide decide_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, Content> files_ COGWHEEL_GUARDED_BY(mutex_);  // by path
};

}  // namespace cogwheel
