#pragma once

#include <string>

#include "server/metrics/server_metrics.h"

// The metrics' series that carry a group's name.
namespace cogwheel {

// Counters that count what is rare start at 0: one that first appears as 1 never rose, for whoever
// watches its increase.
void BeginSeries(ServerMetrics& metrics, const std::string& group);

// Of a group that is forgotten. On the dispatcher's thread, which sets them all.
void RemoveSeries(ServerMetrics& metrics, const std::string& group);

}  // namespace cogwheel
