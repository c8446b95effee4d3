// Latencies of the public API under a steady load that does not wait for answers (open loop):
//   api_load --server HOST:PORT [--seconds 30] [--creates 200] [--gets 1000] [--watchers 64]
// Prints one JSON line: percentiles in milliseconds from when each call was due, so that a server
// that falls behind is not spared.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <grpcpp/grpcpp.h>
#include <nlohmann/json.hpp>

#include "base/command_line.h"
#include "base/mutex.h"
#include "cogwheel/v1/video_service.grpc.pb.h"

namespace cogwheel {
namespace {

using Clock = std::chrono::steady_clock;

class Latencies {
 public:
  void Add(Clock::duration took, bool ok) COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    failures_ += ok ? 0 : 1;
    milliseconds_.push_back(std::chrono::duration<double, std::milli>(took).count());
  }
  nlohmann::ordered_json Summary() COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    std::sort(milliseconds_.begin(), milliseconds_.end());
    const auto at = [this](double share) {
      if (milliseconds_.empty()) return 0.0;
      const auto last = static_cast<double>(milliseconds_.size() - 1);
      return milliseconds_[static_cast<size_t>(share * last)];
    };
    return {{"calls", milliseconds_.size()},
            {"failures", failures_},
            {"p50_ms", at(0.5)},
            {"p99_ms", at(0.99)},
            {"max_ms", at(1)}};
  }

 private:
  Mutex mutex_;
  std::vector<double> milliseconds_ COGWHEEL_GUARDED_BY(mutex_);
  int failures_ COGWHEEL_GUARDED_BY(mutex_) = 0;
};

// One call in flight: it lives until its answer is there.
template <typename Request, typename Response>
struct Call {
  grpc::ClientContext context;
  Request request;
  Response response;
};

v1::GenerateRequest SomeJob(int number) {
  v1::GenerateRequest request;
  request.set_prompt("a red circle");
  request.set_seed(number);
  request.set_request_id("load-" + std::to_string(getpid()) + "-" + std::to_string(number));
  return request;
}

// Calls `start(due)` `rate` times a second.
void AtRate(double rate, std::chrono::seconds length,
            const std::function<void(Clock::time_point)>& start) {
  const Clock::time_point begin = Clock::now();
  const auto count = static_cast<int64_t>(rate * static_cast<double>(length.count()));
  for (int64_t i = 0; i < count; ++i) {
    const auto offset = std::chrono::duration<double>(static_cast<double>(i) / rate);
    const auto due = begin + std::chrono::duration_cast<Clock::duration>(offset);
    std::this_thread::sleep_until(due);
    start(due);
  }
}

class Load {
 public:
  explicit Load(const std::string& server)
      : channel_(grpc::CreateChannel(server, grpc::InsecureChannelCredentials())),
        stub_(v1::VideoService::NewStub(channel_)) {}

  std::string CreateNow() {
    Call<v1::CreateJobRequest, v1::Job> call;
    *call.request.mutable_request() = SomeJob(0);
    const grpc::Status status = stub_->CreateJob(&call.context, call.request, &call.response);
    if (!status.ok()) std::fprintf(stderr, "api_load: %s\n", status.error_message().c_str());
    return call.response.name();
  }
  void Create(Clock::time_point due) {
    auto call = std::make_shared<Call<v1::CreateJobRequest, v1::Job>>();
    *call->request.mutable_request() = SomeJob(++created_);
    Open(1);
    stub_->async()->CreateJob(&call->context, &call->request, &call->response,
                              [this, call, due](const grpc::Status& status) {
                                creates.Add(Clock::now() - due, status.ok());
                                Open(-1);
                              });
  }
  void Get(const std::string& job, Clock::time_point due) {
    auto call = std::make_shared<Call<v1::GetJobRequest, v1::Job>>();
    call->request.set_name(job);
    Open(1);
    stub_->async()->GetJob(&call->context, &call->request, &call->response,
                           [this, call, due](const grpc::Status& status) {
                             gets.Add(Clock::now() - due, status.ok());
                             Open(-1);
                           });
  }
  // Reads a job's events until `length` is over.
  int64_t Watch(const std::string& job, std::chrono::seconds length) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + length);
    v1::WatchJobRequest request;
    request.set_name(job);
    const auto reader = stub_->WatchJob(&context, request);
    v1::JobEvent event;
    int64_t events = 0;
    while (reader->Read(&event)) ++events;
    reader->Finish();
    return events;
  }
  void AwaitAnswers() COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    answered_.WaitFor(mutex_, std::chrono::seconds(30), [this] { return open_ == 0; });
  }

  Latencies creates, gets;

 private:
  void Open(int change) COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    open_ += change;
    answered_.NotifyAll();
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::VideoService::Stub> stub_;
  std::atomic<int> created_{0};
  Mutex mutex_;
  CondVar answered_;
  int open_ COGWHEEL_GUARDED_BY(mutex_) = 0;
};

int Run(int argc, char** argv) {
  std::string server;
  int seconds = 30, creates = 200, gets = 1000, watchers = 64;
  int* const numbers[] = {&seconds, &creates, &gets, &watchers};
  std::vector<FlagForm> forms;
  for (const char* flag : {"--seconds", "--creates", "--gets", "--watchers", "--server"}) {
    forms.push_back({.name = flag, .value = FlagValue::kNeeded, .value_name = "VALUE"});
  }
  const auto line =
      SplitCommandLine({argv + 1, argv + argc}, forms, {"api_load", "tests/README.md"});
  if (!line.ok()) {
    std::fprintf(stderr, "api_load: %s\n", std::string(line.status().message()).c_str());
    return 2;
  }
  for (const GivenFlag& flag : line->flags) {
    if (flag.form < std::size(numbers)) *numbers[flag.form] = std::atoi(flag.value.c_str());
    if (forms[flag.form].name == "--server") server = flag.value;
  }
  const std::chrono::seconds length(seconds);
  Load load(server);
  const std::string job = load.CreateNow();
  if (job.empty()) return 3;
  std::atomic<int64_t> events{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < watchers; ++i) {
    threads.emplace_back([&] { events += load.Watch(job, length); });
  }
  threads.emplace_back(
      [&] { AtRate(creates, length, [&](Clock::time_point due) { load.Create(due); }); });
  AtRate(gets, length, [&](Clock::time_point due) { load.Get(job, due); });
  for (std::thread& thread : threads) thread.join();
  load.AwaitAnswers();
  const nlohmann::ordered_json summary = {
      {"seconds", seconds},     {"creates_per_s", creates},   {"create", load.creates.Summary()},
      {"gets_per_s", gets},     {"get", load.gets.Summary()}, {"watchers", watchers},
      {"events", events.load()}};
  std::printf("%s\n", summary.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace cogwheel

int main(int argc, char** argv) { return cogwheel::Run(argc, argv); }
