#include "base/meters.h"

#include <map>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace cogwheel {
namespace {

std::map<std::string, std::string> LabelsOf(const MeterName& name,
                                            const std::vector<std::string>& values) {
  std::map<std::string, std::string> labels;
  for (size_t i = 0; i < name.labels.size() && i < values.size(); ++i) {
    labels[name.labels[i]] = values[i];
  }
  return labels;
}

}  // namespace

std::shared_ptr<prometheus::Registry> MakeRegistry() {
  return std::make_shared<prometheus::Registry>();
}

CounterMeter::CounterMeter(prometheus::Registry& registry, MeterName name)
    : name_(std::move(name)),
      family_(prometheus::BuildCounter().Name(name_.name).Help(name_.help).Register(registry)) {
  if (name_.labels.empty()) family_.Add({});  // shown as 0 from the start
}

void CounterMeter::Increment(const std::vector<std::string>& values, double amount) {
  family_.Add(LabelsOf(name_, values)).Increment(amount);
}

void CounterMeter::Remove(const std::vector<std::string>& values) {
  family_.Remove(&family_.Add(LabelsOf(name_, values)));
}

TotalMeter::TotalMeter(prometheus::Registry& registry, MeterName name)
    : name_(std::move(name)),
      family_(prometheus::BuildCounter().Name(name_.name).Help(name_.help).Register(registry)) {}

void TotalMeter::Raise(double value, const std::vector<std::string>& values) {
  prometheus::Counter& counter = family_.Add(LabelsOf(name_, values));
  const double more = value - counter.Value();
  if (more > 0) counter.Increment(more);
}

GaugeMeter::GaugeMeter(prometheus::Registry& registry, MeterName name)
    : name_(std::move(name)),
      family_(prometheus::BuildGauge().Name(name_.name).Help(name_.help).Register(registry)) {
  if (name_.labels.empty()) family_.Add({});
}

void GaugeMeter::Set(double value, const std::vector<std::string>& values) {
  family_.Add(LabelsOf(name_, values)).Set(value);
}

void GaugeMeter::Remove(const std::vector<std::string>& values) {
  family_.Remove(&family_.Add(LabelsOf(name_, values)));
}

HistogramMeter::HistogramMeter(prometheus::Registry& registry, MeterName name,
                               std::vector<double> buckets)
    : name_(std::move(name)),
      buckets_(std::move(buckets)),
      family_(prometheus::BuildHistogram().Name(name_.name).Help(name_.help).Register(registry)) {}

void HistogramMeter::Observe(double value, const std::vector<std::string>& values) {
  family_.Add(LabelsOf(name_, values), buckets_).Observe(value);
}

}  // namespace cogwheel
