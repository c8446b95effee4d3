#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/job/input_store.h"

namespace cogwheel {

// Inputs in memory, by digest; answers come before the calls return. For one thread.
class MemoryInputs final : public InputStore {
 public:
  void Put(Bytes bytes, Answer<std::string> done) override {
    if (!fault.ok()) return done(fault);
    const std::string sha256 = Sha256Hex(*bytes);
    inputs[sha256] = std::move(bytes);
    done(sha256);
  }
  void Read(const std::string& sha256, Answer<Bytes> done) override {
    if (!fault.ok()) return done(fault);
    const auto found = inputs.find(sha256);
    if (found != inputs.end()) return done(found->second);
    done(MakeError(absl::StatusCode::kDataLoss, "CHECKSUM", "the stored image is gone"));
  }

  absl::StatusOr<std::unique_ptr<InputWriter>> Begin() override {
    if (!fault.ok()) return fault;
    return std::make_unique<Writer>(inputs);
  }

  std::map<std::string, Bytes> inputs;
  absl::Status fault;  // of every call

 private:
  class Writer final : public InputWriter {
   public:
    explicit Writer(std::map<std::string, Bytes>& inputs) : inputs_(inputs) {}
    absl::Status Append(std::string_view bytes) override {
      bytes_.append(bytes);
      return absl::OkStatus();
    }
    absl::StatusOr<std::string> Contents() const override { return bytes_; }
    absl::Status Commit(const std::string& sha256) override {
      inputs_[sha256] = std::make_shared<const std::string>(bytes_);
      return absl::OkStatus();
    }

   private:
    std::map<std::string, Bytes>& inputs_;
    std::string bytes_;
  };
};

}  // namespace cogwheel
