#include "tests/support/fake_rank.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "base/sha256.h"
#include "proto/contract/protocol.h"
#include "tests/support/tiny_model.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kLimit{20};

internal::v1::Hello MakeHello(const FakeRank::Options& options) {
  internal::v1::Hello hello;
  hello.set_group(options.group);
  hello.mutable_mesh()->set_cfg(1);
  hello.mutable_mesh()->set_ring(1);
  hello.mutable_mesh()->set_ulysses(1);
  hello.set_host("localhost");
  hello.set_device("cpu");
  hello.set_code_version("test");
  hello.set_dtype("fp32");
  hello.set_peer_address("127.0.0.1:1");
  internal::v1::ModelInfo& model = *hello.mutable_model();
  model = TinyModel();
  model.set_name(options.model);
  if (!options.vocabulary.empty()) {
    model.set_description("one shape");
    model.add_sample_prompts(options.vocabulary.front());
    model.mutable_vocabulary()->Assign(options.vocabulary.begin(), options.vocabulary.end());
  }
  if (!options.digest.empty()) {
    hello.set_protocol(kProtocol);
    model.set_digest(options.digest);
  }
  model.set_image_required(options.image_required);
  model.set_default_width(48);
  model.set_max_area(64 * 64);
  return hello;
}

}  // namespace

FakeRank::FakeRank(const std::string& address, Options options) : options_(std::move(options)) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(32 * 1024 * 1024);
  stub_ = internal::v1::RankControl::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  context_.set_wait_for_ready(true);
  stream_ = stub_->Join(&context_);
  Message message;
  *message.mutable_hello() = MakeHello(options_);
  Send(message);
  reader_ = std::thread([this] { Read(); });
  heartbeats_ = std::thread([this] { Beat(); });
}

FakeRank::~FakeRank() {
  Disconnect();
  reader_.join();
  heartbeats_.join();
}

void FakeRank::Disconnect() { context_.TryCancel(); }

void FakeRank::Send(const Message& message) {
  MutexLock lock(write_mutex_);
  stream_->Write(message);  // false once the stream has ended
}

void FakeRank::Beat() {
  Message message;
  message.mutable_heartbeat();
  while (true) {
    {
      MutexLock lock(mutex_);
      if (changed_.WaitFor(mutex_, std::chrono::seconds(1), [this] { return ended_; })) return;
    }
    Send(message);
  }
}

void FakeRank::Read() {
  Order order;
  while (stream_->Read(&order)) {
    Handle(order);
    MutexLock lock(mutex_);
    orders_[order.message_case()] = order;
    changed_.NotifyAll();
  }
  grpc::Status status;
  {
    MutexLock lock(write_mutex_);
    status = stream_->Finish();
  }
  MutexLock lock(mutex_);
  ended_ = true;
  status_ = status;
  changed_.NotifyAll();
}

void FakeRank::Handle(const Order& order) {
  Message message;
  if (order.has_assign()) {
    message.mutable_formed()->set_epoch(order.assign().epoch());
    {
      MutexLock lock(mutex_);
      epoch_ = order.assign().epoch();
    }
    Send(message);
  } else if (order.has_run_job()) {
    internal::v1::JobAnswer& answer = *message.mutable_job_answer();
    answer.set_epoch(order.run_job().epoch());
    answer.set_job_sequence(order.run_job().job_sequence());
    for (const std::string& warning : options_.warnings) answer.add_warnings(warning);
    answer.set_code(options_.accept_jobs ? 0 : 8);
    answer.set_reason(options_.accept_jobs ? "" : "DEVICE_MEMORY");
    answer.set_message(options_.accept_jobs ? "" : "too little memory");
    {
      MutexLock lock(mutex_);
      sequence_ = order.run_job().job_sequence();
    }
    Send(message);
  } else if (order.has_start_job() && options_.finish_on_start) {
    SendProgress(1, 4);
    SendChunk(0, options_.result);
    SendDone(/*code=*/0, options_.result);
  } else if (order.has_cancel_job() && options_.end_on_cancel) {
    SendDone(/*code=*/1, "");
  }
}

void FakeRank::SendProgress(int step, int steps) {
  Message message;
  {
    MutexLock lock(mutex_);
    message.mutable_progress()->set_epoch(epoch_);
    message.mutable_progress()->set_job_sequence(sequence_);
  }
  message.mutable_progress()->set_stage(internal::v1::STAGE_DENOISE);
  message.mutable_progress()->set_step(step);
  message.mutable_progress()->set_steps(steps);
  Send(message);
}

void FakeRank::SendChunk(int64_t offset, const std::string& data) {
  Message message;
  {
    MutexLock lock(mutex_);
    message.mutable_result_chunk()->set_epoch(epoch_);
    message.mutable_result_chunk()->set_job_sequence(sequence_);
  }
  message.mutable_result_chunk()->set_offset(offset);
  message.mutable_result_chunk()->set_data(data);
  Send(message);
}

void FakeRank::SendDone(int code, const std::string& result) {
  Message message;
  internal::v1::JobDone& done = *message.mutable_job_done();
  {
    MutexLock lock(mutex_);
    done.set_epoch(epoch_);
    done.set_job_sequence(sequence_);
  }
  done.set_code(code);
  done.set_size_bytes(static_cast<int64_t>(result.size()));
  done.set_sha256(Sha256Hex(result));
  done.set_media_type("video/mp4");
  done.set_denoise_seconds(1.5);
  Send(message);
}

bool FakeRank::WaitFor(Order::MessageCase kind) {
  MutexLock lock(mutex_);
  return changed_.WaitFor(mutex_, kLimit, [&] { return orders_.contains(kind); });
}

FakeRank::Order FakeRank::Last(Order::MessageCase kind) {
  MutexLock lock(mutex_);
  return orders_[kind];
}

grpc::Status FakeRank::Finished() {
  MutexLock lock(mutex_);
  changed_.WaitFor(mutex_, kLimit, [&] { return ended_; });
  return status_;
}

}  // namespace cogwheel
