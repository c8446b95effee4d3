#include "server/streams/download_source.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cogwheel/v1/video_service.pb.h"
#include "proto/contract/status.h"
#include "tests/support/memory_job_store.h"

namespace cogwheel {
namespace {

constexpr char kName[] = "jobs/01hzzzzzzzzzzzzzzzzzzzzzzz";

// One result, whose reads it counts.
class OneResult final : public ResultStore {
 public:
  explicit OneResult(std::string bytes) : bytes_(std::move(bytes)) {}
  void Begin(const Attempt&, Answer<std::shared_ptr<ResultWriter>> done) override {
    done(absl::UnimplementedError("not written to"));
  }
  void CheckRoom(int64_t, Done done) override { done(absl::OkStatus()); }
  absl::StatusOr<std::shared_ptr<const ResultReader>> Open(const Artefact&) const override {
    return std::make_shared<Reader>(bytes_, reads_);
  }
  void Remove(const Artefact&, const JobStore&) override {}
  int reads() const { return reads_; }

 private:
  class Reader final : public ResultReader {
   public:
    Reader(const std::string& bytes, int& reads) : bytes_(bytes), reads_(reads) {}
    absl::StatusOr<std::string> Read(int64_t offset, int64_t max_bytes) const override {
      ++reads_;
      return bytes_.substr(std::min<size_t>(offset, bytes_.size()), max_bytes);
    }

   private:
    const std::string& bytes_;
    int& reads_;
  };
  const std::string bytes_;
  mutable int reads_ = 0;
};

class DownloadSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    NewJob job;
    job.job.name = kName;
    job.job.tenant = "t";
    store_.Create(job, [](const absl::StatusOr<CreatedJob>&) {});
    store_.ClaimNext({"g", 1, {}, {kName}}, [](const absl::StatusOr<Job>&) {});
  }
  void Finish() {
    FinishedJob finished;
    finished.name = kName;
    finished.epoch = 1;
    finished.attempt = 1;
    finished.state = JobState::kSucceeded;
    finished.result = Artefact{static_cast<int64_t>(bytes_.size()), Sha256Hex(bytes_), "video/mp4"};
    store_.Finish(finished, [](const absl::StatusOr<Job>&) {});
  }
  std::unique_ptr<DownloadSource> Source(const ResultStore& results, int64_t offset = 0,
                                         const std::string& tenant = "t") {
    return std::make_unique<DownloadSource>(
        DownloadSource::Parts{store_, results, [this](const Artefact&) { ++damaged_; }},
        DownloadSource::Wanted{tenant, kName, offset});
  }
  absl::Status End(const ResultStore& results, int64_t offset = 0) {
    return Source(results, offset)->Pull(nullptr).end.value_or(absl::OkStatus());
  }
  static v1::Chunk Piece(DownloadSource& source) {
    v1::Chunk chunk;
    MessageSource::Pulled pulled = source.Pull(nullptr);
    EXPECT_TRUE(pulled.message.has_value());
    chunk.ParseFromString(pulled.message.value_or(""));
    return chunk;
  }

  const std::string bytes_ = std::string(256 * 1024, 'a') + std::string(1000, 'b');
  MemoryJobStore store_;
  int damaged_ = 0;
};

// B3: a call cost the reading of the whole result before its first byte.
TEST_F(DownloadSourceTest, EachPieceCostsOneRead) {
  Finish();
  const OneResult results(bytes_);
  const auto source = Source(results);
  EXPECT_EQ(0, results.reads());
  const v1::Chunk first = Piece(*source);
  EXPECT_EQ(1, results.reads());
  EXPECT_EQ(256 * 1024, first.data().size());
  EXPECT_EQ("video/mp4", first.media_type());
  EXPECT_FALSE(first.last());
  const v1::Chunk second = Piece(*source);
  EXPECT_EQ(2, results.reads());
  EXPECT_EQ(256 * 1024, second.offset());
  EXPECT_EQ(std::string(1000, 'b'), second.data());
  EXPECT_EQ("", second.media_type());
  EXPECT_TRUE(second.last());
  EXPECT_EQ(Sha256Hex(bytes_), second.sha256());
  EXPECT_EQ(bytes_.size(), second.size_bytes());
  EXPECT_EQ(absl::OkStatus(), source->Pull(nullptr).end);
}

TEST_F(DownloadSourceTest, DamageIsToldInPlaceOfTheLastPiece) {
  Finish();
  std::string damaged = bytes_;
  damaged[5] = 'x';
  const OneResult results(damaged);
  const auto source = Source(results);
  Piece(*source);
  const MessageSource::Pulled end = source->Pull(nullptr);
  EXPECT_FALSE(end.message.has_value());
  EXPECT_TRUE(absl::IsDataLoss(end.end.value_or(absl::OkStatus())));
  EXPECT_EQ(1, damaged_);
  const OneResult cut(bytes_.substr(0, 1000));
  EXPECT_EQ("CHECKSUM", ErrorReason(End(cut)));
  EXPECT_EQ(2, damaged_);
}

TEST_F(DownloadSourceTest, AnyOffsetUpToTheEndIsServed) {
  Finish();
  const OneResult results(bytes_);
  const v1::Chunk middle = Piece(*Source(results, 256 * 1024 + 1));
  EXPECT_EQ(std::string(999, 'b'), middle.data());
  EXPECT_EQ("video/mp4", middle.media_type());
  EXPECT_TRUE(middle.last());
  EXPECT_TRUE(Piece(*Source(results, static_cast<int64_t>(bytes_.size()))).last());
  EXPECT_TRUE(absl::IsOutOfRange(End(results, static_cast<int64_t>(bytes_.size()) + 1)));
  EXPECT_TRUE(absl::IsInvalidArgument(End(results, -1)));
}

TEST_F(DownloadSourceTest, OnlyTheOwnResultThatIsThere) {
  const OneResult results(bytes_);
  EXPECT_EQ("NOT_READY", ErrorReason(End(results)));
  Finish();
  EXPECT_EQ("UNKNOWN_JOB", ErrorReason(*Source(results, 0, "other")->Pull(nullptr).end));
}

}  // namespace
}  // namespace cogwheel
