#include "client/state_words.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <absl/strings/str_cat.h>

namespace cogwheel {

std::string StateWord(v1::JobState state) {
  switch (state) {
    case v1::QUEUED:
      return "queued";
    case v1::RUNNING:
      return "running";
    case v1::SUCCEEDED:
      return "succeeded";
    case v1::FAILED:
      return "failed";
    case v1::CANCELLED:
      return "cancelled";
    case v1::EXPIRED:
      return "expired";
    case v1::JOB_STATE_UNSPECIFIED:
    case v1::JobState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::JobState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "unknown";  // of a newer server
}

std::string StateWord(v1::RankState state) {
  switch (state) {
    case v1::RANK_JOINED:
      return "waiting for the others";
    case v1::RANK_READY:
      return "ready";
    case v1::RANK_BUSY:
      return "busy";
    case v1::RANK_SUSPECT:
      return "silent";
    case v1::RANK_STATE_UNSPECIFIED:
    case v1::RankState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::RankState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "unknown";
}

std::string MeshWords(const v1::Mesh& mesh) {
  std::string words;
  for (const auto& [ranks, axis] : {std::pair(mesh.ulysses(), "ulysses"),
                                    std::pair(mesh.ring(), "ring"), std::pair(mesh.cfg(), "cfg")}) {
    if (ranks > 1) absl::StrAppend(&words, words.empty() ? "" : " x ", ranks, " ", axis);
  }
  return words.empty() ? "1 rank" : words;
}

std::string HealthWords(const std::string& status) {
  std::string words = status;
  for (char& c : words) {
    c = c == '_' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return words;
}

}  // namespace cogwheel
