#include "server/schedule/costs_file.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/log.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr size_t kMostBytes = 4 * 1024 * 1024;  // as many as a model holds take far less
constexpr double kMostSeconds = 1e7, kMostTokens = 1e9;
constexpr std::chrono::seconds kLookUp{60};  // every wait has a limit

double NumberOf(const Json& json, const char* key, double most) {
  const double number = json.at(key).get<double>();
  if (number >= 0 && number <= most) return number;
  throw std::invalid_argument(key);
}

int64_t CountOf(const Json& json, const char* key) {
  return static_cast<int64_t>(NumberOf(json, key, kMostTokens));
}

Json ToJson(const CostModel::Entry& entry) {
  const JobSize::Shape& shape = entry.seen.shape;
  const JobCosts& costs = entry.seen.costs;
  return {{"model", entry.model},
          {"setup", entry.setup},
          {"text_tokens", shape.text_tokens},
          {"latent_frames", shape.latent_frames},
          {"frame_tokens", shape.frame_tokens},
          {"branches", shape.branches},
          {"decoded", shape.decoded},
          {"tiled", shape.tiled},
          {"before", costs.before},
          {"step", costs.step},
          {"after", costs.after},
          {"decode_in_steps", entry.seen.decode_in_steps}};
}

// Throws for what is missing or cannot be.
CostModel::Entry FromJson(const Json& json) {
  CostModel::Entry entry{
      json.at("model").get<std::string>(), json.at("setup").get<std::string>(), {}};
  entry.seen = {.shape = {.text_tokens = CountOf(json, "text_tokens"),
                          .latent_frames = CountOf(json, "latent_frames"),
                          .frame_tokens = CountOf(json, "frame_tokens"),
                          .branches = static_cast<int>(CountOf(json, "branches")),
                          .decoded = json.at("decoded").get<bool>(),
                          .tiled = json.at("tiled").get<bool>()},
                .costs = {.before = NumberOf(json, "before", kMostSeconds),
                          .step = NumberOf(json, "step", kMostSeconds),
                          .after = NumberOf(json, "after", kMostSeconds)},
                .decode_in_steps = NumberOf(json, "decode_in_steps", kMostSeconds)};
  return entry;
}

// Nothing where there is no file; at most one byte too many.
std::optional<std::string> ReadSome(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(kMostBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(in.gcount());
  return text;
}

// In setup of what is there. Returns what is wrong, if anything is.
std::error_code Replace(const std::string& path, const std::string& text) {
  const auto last_error = [] { return std::error_code(errno, std::generic_category()); };
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  std::string temporary = path + ".XXXXXX";  // of this process alone
  const int fd = mkstemp(temporary.data());
  if (fd < 0) return last_error();
  const ssize_t written = write(fd, text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) {
    error = written < 0 ? last_error() : std::make_error_code(std::errc::no_space_on_device);
  }
  if (close(fd) != 0 && !error) error = last_error();
  if (!error && rename(temporary.c_str(), path.c_str()) != 0) error = last_error();
  if (error) unlink(temporary.c_str());
  return error;
}

}  // namespace

std::string CostsToJson(const std::vector<CostModel::Entry>& entries) {
  Json costs = Json::array();
  for (const CostModel::Entry& entry : entries) costs.push_back(ToJson(entry));
  const Json file = {{"version", kVersion}, {"costs", std::move(costs)}};
  return file.dump(/*indent=*/1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) +
         "\n";
}

absl::StatusOr<std::vector<CostModel::Entry>> CostsFromJson(const std::string& text) {
  if (text.size() > kMostBytes) return absl::InvalidArgumentError("it is too large");
  try {  // the library's way to say what is wrong
    const Json file = Json::parse(text);
    if (file.at("version").get<int>() != kVersion) {
      return absl::InvalidArgumentError("it is of another version");
    }
    std::vector<CostModel::Entry> entries;
    for (const Json& entry : file.at("costs")) entries.push_back(FromJson(entry));
    return entries;
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

CostsFile::CostsFile(std::string path, CostModel& costs) : path_(std::move(path)), costs_(costs) {
  if (path_.empty()) return;
  if (const std::optional<std::string> text = ReadSome(path_)) {
    const auto entries = CostsFromJson(*text);
    if (entries.ok()) {
      costs_.Absorb(*entries);
    } else {
      Complain("the file of costs is damaged and not used",
               std::string(entries.status().message()));
    }
  }
  thread_ = std::jthread([this] {
    while (WaitForNews()) Save();
  });
  costs_.OnLearnt([this] { SaveSoon(); });
}

CostsFile::~CostsFile() {
  MutexLock lock(mutex_);
  stopping_ = true;
  changed_.NotifyAll();
}

void CostsFile::SaveSoon() {
  MutexLock lock(mutex_);
  news_ = true;
  changed_.NotifyAll();
}

// False when there will be none.
bool CostsFile::WaitForNews() {
  MutexLock lock(mutex_);
  const auto woken = [this]() COGWHEEL_REQUIRES(mutex_) { return stopping_ || news_; };
  while (!changed_.WaitFor(mutex_, kLookUp, woken)) {
  }
  return std::exchange(news_, false);
}

void CostsFile::Save() {
  // Others may have learnt meanwhile.
  if (const std::optional<std::string> text = ReadSome(path_)) {
    const auto entries = CostsFromJson(*text);
    if (entries.ok()) costs_.Absorb(*entries);
  }
  const std::error_code error = Replace(path_, CostsToJson(costs_.All()));
  if (error) Complain("the file of costs cannot be written", error.message());
}

void CostsFile::Complain(const std::string& what, const std::string& why) {
  if (std::exchange(complained_, true)) return;
  Log(LogLevel::kWarning, what, {{"file", path_}, {"error", why}});
}

}  // namespace cogwheel
