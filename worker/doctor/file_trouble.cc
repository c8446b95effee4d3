#include "worker/doctor/file_trouble.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLfsPointer = "version https://git-lfs";
constexpr std::string_view kHubFolder = "models--";
constexpr int kMostEntries = 10'000;  // a checkpoint has some dozens

// Everything in the folder and its folders, links not followed; an empty path ends it.
template <typename Use>
void ForEachEntry(const fs::path& folder, const Use& use) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (int k = 0; k < kMostEntries && entry != fs::recursive_directory_iterator(); ++k) {
    use(*entry);
    entry.increment(error);
    if (error) return;
  }
}

// MODEL/../../.. of models--org--name/snapshots/<revision>; empty for another folder.
fs::path HubFolder(const std::string& model_dir) {
  std::error_code error;
  const fs::path folder = fs::absolute(model_dir, error).lexically_normal() / "";
  const fs::path snapshots = folder.parent_path().parent_path();
  const bool hub = snapshots.filename() == "snapshots" &&
                   snapshots.parent_path().filename().string().starts_with(kHubFolder);
  return hub ? snapshots.parent_path() : fs::path();
}

}  // namespace

std::optional<FileTrouble> TroubleOf(const std::string& path, const std::string& fetch) {
  std::error_code error;
  if (fs::is_symlink(path, error) && !fs::exists(path, error)) {
    return FileTrouble{
        path + " is a link to " + fs::read_symlink(path, error).string() + ", which is not there",
        "copy with cp -L where that file is, or finish the download: " + fetch};
  }
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) {
    return FileTrouble{path + " is no regular file", "fetch it again: " + fetch};
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return FileTrouble{path + " cannot be opened: " + std::strerror(errno),
                       "chmod a+r that file, and a+x its folders, or run as its owner"};
  }
  std::array<char, kLfsPointer.size()> start{};
  file.read(start.data(), start.size());
  if (file.gcount() == 0) return FileTrouble{path + " is empty", "fetch it again: " + fetch};
  if (std::string_view(start.data(), start.size()) != kLfsPointer) return std::nullopt;
  return FileTrouble{path + " is a Git LFS pointer, not the file",
                     "git lfs pull in that folder, or " + fetch};
}

std::string NamedFile(const std::string& model_dir, const std::string& message) {
  std::string named, dangling;
  size_t longest = 0;
  ForEachEntry(model_dir, [&](const fs::directory_entry& entry) {
    std::error_code error;
    if (entry.is_directory(error)) return;
    const fs::path inside = entry.path().lexically_relative(model_dir);
    const auto says = [&message](const fs::path& path) {
      return !path.empty() && message.find(path.string()) != std::string::npos;
    };
    if (says(inside) && inside.string().size() > longest) {
      named = entry.path();
      longest = inside.string().size();
    }
    const bool to_nowhere = entry.is_symlink(error) && !entry.exists(error);
    if (to_nowhere && says(inside.parent_path())) dangling = entry.path();
  });
  return named.empty() ? dangling : named;
}

std::string FetchCommand(const std::string& model_dir) {
  std::string name = HubFolder(model_dir).filename().string();
  if (name.empty()) return "hf download ORG/NAME --local-dir " + model_dir;
  name.erase(0, kHubFolder.size());
  const size_t cut = name.find("--");
  if (cut != std::string::npos) name.replace(cut, 2, "/");
  return "hf download " + name;
}

std::string UnfinishedDownload(const std::string& model_dir) {
  const fs::path hub = HubFolder(model_dir);
  std::string found;
  for (const fs::path& folder : {hub.empty() ? fs::path() : hub / "blobs",
                                 fs::path(model_dir) / ".cache" / "huggingface" / "download"}) {
    if (folder.empty()) continue;
    ForEachEntry(folder, [&found](const fs::directory_entry& entry) {
      if (entry.path().extension() == ".incomplete") found = entry.path().string();
    });
  }
  return found;
}

}  // namespace cogwheel
