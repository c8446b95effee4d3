#pragma once

#include <string>

#include "cogwheel/v1/video_service.pb.h"

// The API's enums in words for people; --json has their names.
namespace cogwheel {

std::string StateWord(v1::JobState state);    // "queued"
std::string StateWord(v1::RankState state);   // "ready"
std::string MeshWords(const v1::Mesh& mesh);  // "2 ulysses x 2 ring"; "1 rank"
// Of a health check: "serving", from "SERVING".
std::string HealthWords(const std::string& status);

}  // namespace cogwheel
