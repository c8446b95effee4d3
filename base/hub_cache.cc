#include "base/hub_cache.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <pwd.h>
#include <unistd.h>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <nlohmann/json.hpp>

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "models--";
constexpr char kIndexEnd[] = ".index.json";
constexpr size_t kMaxNameBytes = 96;  // huggingface_hub's own limit of a repository's name
constexpr size_t kMaxJsonBytes = 16 << 20;

std::string Value(const GetVariable& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? "" : value;
}

bool IsNameCharacter(unsigned char c) { return std::isalnum(c) != 0 || c == '_'; }

// As Python's os.path.expandvars: $NAME and ${NAME}; what is not set stays as it is.
std::string ExpandVariables(const std::string& text, const GetVariable& environment) {
  std::string expanded;
  for (size_t i = 0; i < text.size();) {
    const bool braced = text.compare(i, 2, "${") == 0;
    const size_t begin = i + (braced ? 2 : 1);
    size_t end = begin;
    while (end < text.size() && (braced ? text[end] != '}' : IsNameCharacter(text[end]))) ++end;
    const bool whole = text[i] == '$' && end > begin && (!braced || end < text.size());
    const size_t next = whole ? end + (braced ? 1 : 0) : i + 1;
    const char* value = whole ? environment(text.substr(begin, end - begin).c_str()) : nullptr;
    expanded += value == nullptr ? text.substr(i, next - i) : std::string(value);
    i = next;
  }
  return expanded;
}

fs::path Home(const GetVariable& environment) {
  const std::string home = Value(environment, "HOME");
  if (!home.empty()) return home;
  const passwd* user = getpwuid(getuid());
  return user == nullptr ? "/" : user->pw_dir;
}

fs::path Expand(const std::string& text, const GetVariable& environment) {
  const bool of_home = text == "~" || text.starts_with("~/");
  return ExpandVariables(of_home ? Home(environment).string() + text.substr(1) : text, environment);
}

// At most so many bytes; none of a pipe, which would wait for its writer.
std::string ReadStart(const fs::path& path, size_t most_bytes) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return "";
  std::ifstream file(path, std::ios::binary);
  std::string text(most_bytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

// The small JSON file's content; null when it cannot be read as such.
nlohmann::json ReadJson(const fs::path& path) {
  const std::string text = ReadStart(path, kMaxJsonBytes + 1);
  if (text.size() > kMaxJsonBytes) return nullptr;
  constexpr int kMaxDepth = 8;
  const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    return depth <= kMaxDepth;
  };
  const nlohmann::json json = nlohmann::json::parse(text, shallow, /*allow_exceptions=*/false);
  return json.is_object() ? json : nlohmann::json();
}

std::vector<fs::path> EntriesOf(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  std::ranges::sort(entries);
  return entries;
}

bool HasShards(const fs::path& index) {
  const nlohmann::json json = ReadJson(index);
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object()) return false;
  std::set<std::string> shards;
  for (const auto& [name, shard] : map->items()) {
    if (shard.is_string()) shards.insert(shard.get<std::string>());
  }
  return std::ranges::all_of(shards, [&](const std::string& shard) {
    std::error_code error;
    return fs::is_regular_file(index.parent_path() / shard, error);
  });
}

// A component's folder lacks nothing that its own files tell of.
bool IsWholeComponent(const fs::path& folder) {
  bool has_data = false, has_config = false;
  for (const fs::path& entry : EntriesOf(folder)) {
    std::error_code error;
    if (!fs::exists(entry, error)) return false;  // a link to a blob that is not there
    const std::string name = entry.filename().string();
    if (name.ends_with(kIndexEnd) && !HasShards(entry)) return false;
    has_config = has_config || name.ends_with("config.json");
    // Of schedulers and tokenizers that is all there need be.
    has_data = has_data || !name.ends_with(".json") || name.ends_with("_config.json");
  }
  return has_config && has_data;
}

bool IsComplete(const fs::path& snapshot) {
  const nlohmann::json index = ReadJson(snapshot / "model_index.json");
  if (index.is_null()) return false;
  for (const auto& [component, classes] : index.items()) {
    const bool there = !component.starts_with("_") && classes.is_array() && classes.size() == 2 &&
                       classes[0].is_string() && component.find('/') == std::string::npos;
    if (there && !IsWholeComponent(snapshot / component)) return false;
  }
  return true;
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// Of what refs/main names, if that is there.
std::optional<fs::path> MainSnapshot(const fs::path& repository) {
  constexpr size_t kMaxRevisionBytes = 255;
  const std::string text = ReadStart(repository / "refs" / "main", kMaxRevisionBytes + 1);
  const std::string revision(absl::StripAsciiWhitespace(text));
  if (revision.empty() || revision.size() > kMaxRevisionBytes || revision.starts_with(".") ||
      revision.find_first_of(std::string("/\0", 2)) != std::string::npos) {
    return std::nullopt;
  }
  const fs::path snapshot = repository / "snapshots" / revision;
  return IsFolder(snapshot) ? std::make_optional(snapshot) : std::nullopt;
}

}  // namespace

fs::path HubCacheFolder(const GetVariable& environment) {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    const std::string value = Value(environment, name);
    if (!value.empty()) return Expand(value, environment);
  }
  const std::string hub_home = Value(environment, "HF_HOME");
  if (!hub_home.empty()) return Expand(hub_home, environment) / "hub";
  const std::string cache = Value(environment, "XDG_CACHE_HOME");
  const fs::path caches = cache.empty() ? Home(environment) / ".cache" : Expand(cache, environment);
  return caches / "huggingface" / "hub";
}

bool IsRepositoryName(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  if (parts.size() != 2 || text.find("--") != std::string::npos) return false;
  return std::ranges::all_of(parts, [](const std::string& part) {
    return !part.empty() && part.size() <= kMaxNameBytes && part[0] != '.' && part[0] != '-' &&
           std::ranges::all_of(
               part, [](unsigned char c) { return IsNameCharacter(c) || c == '-' || c == '.'; });
  });
}

bool IsRepositoryFolder(const fs::path& folder) {
  const fs::path name = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  return name.string().starts_with(kPrefix) && IsFolder(folder / "snapshots");
}

absl::StatusOr<fs::path> NewestSnapshot(const fs::path& repository) {
  const std::optional<fs::path> main = MainSnapshot(repository);
  // Complete before incomplete, then main's, then the newest; of two as new, the one that sorts
  // last.
  using Rank = std::tuple<bool, bool, fs::file_time_type>;
  std::optional<std::pair<Rank, fs::path>> best;
  for (const fs::path& snapshot : EntriesOf(repository / "snapshots")) {
    std::error_code error;
    if (!IsFolder(snapshot)) continue;
    const Rank rank(IsComplete(snapshot), snapshot == main, fs::last_write_time(snapshot, error));
    if (!best.has_value() || rank >= best->first) best.emplace(rank, snapshot);
  }
  if (best.has_value()) return best->second;
  return absl::NotFoundError(absl::StrCat(repository.string(), " holds no snapshot"));
}

std::vector<std::string> RepositoriesIn(const fs::path& cache) {
  std::vector<std::string> names;
  for (const fs::path& entry : EntriesOf(cache)) {
    if (!IsRepositoryFolder(entry)) continue;
    std::string name = entry.filename().string().substr(std::size(kPrefix) - 1);
    const size_t dashes = name.find("--");
    if (dashes != std::string::npos) name.replace(dashes, 2, "/");
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace cogwheel
