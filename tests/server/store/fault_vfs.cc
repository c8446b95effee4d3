#include "tests/server/store/fault_vfs.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <utility>

#include <sqlite3.h>

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSector = 512;

// What SQLite holds: our head, then the default file system's file.
struct File {
  sqlite3_file base;
  FaultVfs* owner;
  std::string* path;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File& Of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

int Close(sqlite3_file* file) {
  delete std::exchange(Of(file).path, nullptr);
  return Of(file).real()->pMethods->xClose(Of(file).real());
}

int Read(sqlite3_file* file, void* bytes, int count, sqlite3_int64 offset) {
  if (Of(file).owner->Ask(FaultVfs::Call::kRead) != FaultVfs::Fault::kNone) {
    return SQLITE_IOERR_READ;
  }
  return Of(file).real()->pMethods->xRead(Of(file).real(), bytes, count, offset);
}

int WriteThrough(File& file, const char* bytes, int count, sqlite3_int64 offset) {
  const int code = file.real()->pMethods->xWrite(file.real(), bytes, count, offset);
  if (code == SQLITE_OK) {
    file.owner->Changed(*file.path, {offset, std::string(bytes, static_cast<size_t>(count))});
  }
  return code;
}

int Write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
  const char* const text = static_cast<const char*>(bytes);
  switch (Of(file).owner->Ask(FaultVfs::Call::kWrite)) {
    case FaultVfs::Fault::kNone:
      return WriteThrough(Of(file), text, count, offset);
    case FaultVfs::Fault::kInputOutput:
      return SQLITE_IOERR_WRITE;
    case FaultVfs::Fault::kFull:
      return SQLITE_FULL;
    case FaultVfs::Fault::kShortWrite:
      WriteThrough(Of(file), text, count / 2, offset);
      return SQLITE_IOERR_WRITE;
  }
  return SQLITE_INTERNAL;
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (Of(file).owner->Ask(FaultVfs::Call::kTruncate) != FaultVfs::Fault::kNone) {
    return SQLITE_IOERR_TRUNCATE;
  }
  const int code = Of(file).real()->pMethods->xTruncate(Of(file).real(), size);
  if (code == SQLITE_OK) Of(file).owner->Changed(*Of(file).path, {size, "", /*truncation=*/true});
  return code;
}

int Sync(sqlite3_file* file, int) {
  if (Of(file).owner->Ask(FaultVfs::Call::kSync) != FaultVfs::Fault::kNone) {
    return SQLITE_IOERR_FSYNC;
  }
  Of(file).owner->Synced(*Of(file).path);
  return SQLITE_OK;
}

// The rest is the default file system's.
int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Of(file).real()->pMethods->xFileSize(Of(file).real(), size);
}
int Lock(sqlite3_file* file, int level) {
  return Of(file).real()->pMethods->xLock(Of(file).real(), level);
}
int Unlock(sqlite3_file* file, int level) {
  return Of(file).real()->pMethods->xUnlock(Of(file).real(), level);
}
int CheckReservedLock(sqlite3_file* file, int* held) {
  return Of(file).real()->pMethods->xCheckReservedLock(Of(file).real(), held);
}
int FileControl(sqlite3_file* file, int operation, void* argument) {
  return Of(file).real()->pMethods->xFileControl(Of(file).real(), operation, argument);
}
int SectorSize(sqlite3_file* file) {
  return Of(file).real()->pMethods->xSectorSize(Of(file).real());
}
int DeviceCharacteristics(sqlite3_file* file) {
  return Of(file).real()->pMethods->xDeviceCharacteristics(Of(file).real());
}
int ShmMap(sqlite3_file* file, int region, int size, int extend, void volatile** memory) {
  return Of(file).real()->pMethods->xShmMap(Of(file).real(), region, size, extend, memory);
}
int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
  return Of(file).real()->pMethods->xShmLock(Of(file).real(), offset, count, flags);
}
void ShmBarrier(sqlite3_file* file) { Of(file).real()->pMethods->xShmBarrier(Of(file).real()); }
int ShmUnmap(sqlite3_file* file, int remove) {
  return Of(file).real()->pMethods->xShmUnmap(Of(file).real(), remove);
}

constexpr sqlite3_io_methods kMethods = {
    /*iVersion=*/2,
    Close,
    Read,
    Write,
    Truncate,
    Sync,
    FileSize,
    Lock,
    Unlock,
    CheckReservedLock,
    FileControl,
    SectorSize,
    DeviceCharacteristics,
    ShmMap,
    ShmLock,
    ShmBarrier,
    ShmUnmap};

int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* given, int flags, int* out_flags) {
  auto* const owner = static_cast<FaultVfs*>(vfs->pAppData);
  File& file = Of(given);
  file.base.pMethods = nullptr;  // SQLite does not close it then
  if (owner->Ask(FaultVfs::Call::kOpen) != FaultVfs::Fault::kNone) return SQLITE_CANTOPEN;
  sqlite3_vfs* const real = sqlite3_vfs_find(nullptr);
  const int code = real->xOpen(real, path, file.real(), flags, out_flags);
  if (code != SQLITE_OK) return code;
  file.owner = owner;
  file.path = new std::string(path == nullptr ? "" : path);
  file.base.pMethods = &kMethods;
  owner->Opened(*file.path);
  return SQLITE_OK;
}

int Delete(sqlite3_vfs* vfs, const char* path, int sync_folder) {
  static_cast<FaultVfs*>(vfs->pAppData)->Deleted(path);
  sqlite3_vfs* const real = sqlite3_vfs_find(nullptr);
  return real->xDelete(real, path, sync_folder);
}

void ApplyChange(std::string& content, const FaultVfs::Pending& change, size_t begin, size_t end) {
  if (change.truncation) return content.resize(static_cast<size_t>(change.offset));
  const size_t start = static_cast<size_t>(change.offset) + begin;
  if (content.size() < start + (end - begin)) content.resize(start + (end - begin));
  content.replace(start, end - begin, change.bytes, begin, end - begin);
}

// Keeps each sector or not.
void ApplyTorn(std::string& content, const FaultVfs::Pending& change, std::mt19937& chance) {
  for (size_t begin = 0; begin < change.bytes.size(); begin += kSector) {
    if (chance() % 2 == 0) continue;
    ApplyChange(content, change, begin, std::min(begin + kSector, change.bytes.size()));
  }
}

std::string AfterPowerLoss(const FaultVfs::Content& content, std::mt19937* chance) {
  std::string left = content.durable;
  if (chance == nullptr) return left;
  for (const FaultVfs::Pending& change : content.pending) {
    const unsigned fate = (*chance)() % 3;
    if (fate == 0) ApplyChange(left, change, 0, change.bytes.size());
    if (fate == 1) ApplyTorn(left, change, *chance);
  }
  return left;
}

}  // namespace

FaultVfs::FaultVfs() : vfs_(new sqlite3_vfs(*sqlite3_vfs_find(nullptr))) {
  vfs_->szOsFile += static_cast<int>(sizeof(File));
  vfs_->zName = kName;
  vfs_->pAppData = this;
  vfs_->pNext = nullptr;
  vfs_->xOpen = Open;
  vfs_->xDelete = Delete;
  sqlite3_vfs_register(vfs_.get(), /*makeDflt=*/0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(vfs_.get()); }

void FaultVfs::OnCall(Decide decide) {
  MutexLock lock(mutex_);
  decide_ = std::move(decide);
}

FaultVfs::Fault FaultVfs::Ask(Call call) {
  Decide decide;
  {
    MutexLock lock(mutex_);
    decide = decide_;
  }
  return decide ? decide(call) : Fault::kNone;
}

void FaultVfs::Opened(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  MutexLock lock(mutex_);
  files_.try_emplace(path, Content{std::move(bytes), {}});
}

void FaultVfs::Deleted(const std::string& path) {
  MutexLock lock(mutex_);
  files_.erase(path);
}

void FaultVfs::Changed(const std::string& path, Pending change) {
  MutexLock lock(mutex_);
  files_[path].pending.push_back(std::move(change));
}

void FaultVfs::Synced(const std::string& path) {
  MutexLock lock(mutex_);
  Content& content = files_[path];
  for (const Pending& change : content.pending) {
    ApplyChange(content.durable, change, 0, change.bytes.size());
  }
  content.pending.clear();
}

void FaultVfs::SaveImage(const std::string& folder, std::mt19937* chance) const {
  MutexLock lock(mutex_);
  for (const auto& [path, content] : files_) {
    std::ofstream(fs::path(folder) / fs::path(path).filename(), std::ios::binary)
        << AfterPowerLoss(content, chance);
  }
}

}  // namespace cogwheel
