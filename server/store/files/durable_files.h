#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include <sys/types.h>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

// Files that must survive a power loss. Errors are StoreErrors.
namespace cogwheel {

// Exit code of a process whose disk failed: sysexits' EX_IOERR.
inline constexpr int kDiskFailedExit = 74;

// What this user alone may read, whatever the umask: prompts, pictures and results.
inline constexpr mode_t kPrivateFile = 0600, kPrivateFolder = 0700;

// After a failed fsync nobody knows what is on the disk, and a second one may report success: the
// process ends at once, and the next start finds what is true.
[[noreturn]] void EndOnFailedSync(const std::string& path, const std::string& why);

// Of the last system call, which set errno.
absl::Status FileError(std::string_view action, const std::string& path);

absl::Status WriteAll(int fd, std::string_view data, const std::string& path);
// Ends the process when it fails.
void SyncFile(int fd, const std::string& path);
// Makes a folder's entries durable. Ends the process when the sync fails.
absl::Status SyncFolder(const std::filesystem::path& folder);

// Makes the folders below the data directory that are not there, durably. FAILED_PRECONDITION,
// naming the data directory, when it cannot.
absl::Status MakeFolders(const std::filesystem::path& data_dir,
                         std::initializer_list<const char*> names);

// Makes the file, empty, unless it is there.
absl::Status MakePrivateFile(const std::string& path);

// Writes `temporary`, syncs it, renames it to `target` and syncs the folder of `target`.
absl::Status WriteDurably(const std::filesystem::path& temporary,
                          const std::filesystem::path& target, std::string_view bytes);
// NOT_FOUND when there is no such file.
absl::StatusOr<std::string> ReadWhole(const std::filesystem::path& path);

}  // namespace cogwheel
