#pragma once

#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Registry;
template <typename T>
class Family;
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

// Metrics with their label names, so that rooms see no metrics library. Thread-safe. Label values
// come from closed sets: never a job, prompt or address.
namespace cogwheel {

struct MeterName {
  std::string name;
  std::string help;
  std::vector<std::string> labels;
};

std::shared_ptr<prometheus::Registry> MakeRegistry();

class CounterMeter {
 public:
  CounterMeter(prometheus::Registry& registry, MeterName name);
  // `values` in the order of the labels.
  void Increment(const std::vector<std::string>& values = {}, double amount = 1);
  // Takes the series away. Only on the thread that increments it.
  void Remove(const std::vector<std::string>& values);

 private:
  const MeterName name_;
  prometheus::Family<prometheus::Counter>& family_;
};

// A counter whose value is kept elsewhere.
class TotalMeter {
 public:
  TotalMeter(prometheus::Registry& registry, MeterName name);
  // Never lowers it.
  void Raise(double value, const std::vector<std::string>& values);

 private:
  const MeterName name_;
  prometheus::Family<prometheus::Counter>& family_;
};

class GaugeMeter {
 public:
  GaugeMeter(prometheus::Registry& registry, MeterName name);
  void Set(double value, const std::vector<std::string>& values = {});
  // Takes the series away. Only on the thread that sets it.
  void Remove(const std::vector<std::string>& values);

 private:
  const MeterName name_;
  prometheus::Family<prometheus::Gauge>& family_;
};

class HistogramMeter {
 public:
  HistogramMeter(prometheus::Registry& registry, MeterName name, std::vector<double> buckets);
  void Observe(double value, const std::vector<std::string>& values = {});

 private:
  const MeterName name_;
  const std::vector<double> buckets_;
  prometheus::Family<prometheus::Histogram>& family_;
};

}  // namespace cogwheel
