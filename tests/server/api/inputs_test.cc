#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/server/api/frontend_fixture.h"
#include "tests/support/test_model.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

using std::chrono::seconds;
using testing::HasSubstr;

class InputsTest : public FrontendTest {
 protected:
  struct Open {
    grpc::ClientContext context;
    v1::Input input;
    std::unique_ptr<grpc::ClientWriter<v1::Chunk>> writer;
  };
  std::unique_ptr<Open> Begin() {
    auto open = std::make_unique<Open>();
    open->writer = stub_->UploadInput(&open->context, &open->input);
    return open;
  }
  static v1::Chunk Piece(int64_t offset, const std::string& data, bool last = false) {
    v1::Chunk piece;
    piece.set_offset(offset);
    piece.set_data(data);
    piece.set_last(last);
    return piece;
  }
  // In pieces of 256 KiB, the last with the digest.
  absl::StatusOr<v1::Input> Upload(const std::string& bytes) {
    constexpr size_t kPiece = 256 * 1024;
    const std::unique_ptr<Open> open = Begin();
    for (size_t offset = 0; offset < bytes.size(); offset += kPiece) {
      v1::Chunk piece = Piece(static_cast<int64_t>(offset), bytes.substr(offset, kPiece));
      piece.set_last(offset + kPiece >= bytes.size());
      if (piece.last()) piece.set_sha256(Sha256Hex(bytes));
      if (!open->writer->Write(piece)) break;
    }
    open->writer->WritesDone();
    const grpc::Status status = open->writer->Finish();
    if (!status.ok()) return FromGrpc(status);
    return open->input;
  }
  // But for that of the probe, which comes and goes.
  size_t FilesIn(const std::string& folder) const {
    const auto files = fs::directory_iterator(fs::path(folder_) / folder);
    return static_cast<size_t>(std::count_if(
        fs::begin(files), fs::end(files),
        [](const fs::directory_entry& file) { return file.path().filename() != "room"; }));
  }
  // Names the input.
  static v1::GenerateRequest Naming(const v1::Input& input) {
    v1::GenerateRequest request = Request();
    request.set_image_input(input.name());
    return request;
  }
  static FakeRank::Options ImageModel() {
    FakeRank::Options options;
    options.image_required = true;
    return options;
  }
};

TEST_F(InputsTest, AJobStartsFromAPictureThatWasUploaded) {
  ServeWithRank(ImageModel());
  std::string picture = PngHeader(64, 48);
  picture.resize(3'000'000);  // twelve pieces
  const v1::Input input = Upload(picture).value();
  EXPECT_EQ("inputs/" + Sha256Hex(picture), input.name());
  EXPECT_EQ(Sha256Hex(picture), input.sha256());
  EXPECT_EQ(3'000'000, input.size_bytes());
  EXPECT_EQ(0, FilesIn("tmp"));
  for (int i = 0; i < 2; ++i) {  // as often as one likes
    const v1::Job job = Create(Naming(input)).value();
    EXPECT_EQ(input.name(), job.request().image_input());
    AwaitState(job.name(), v1::SUCCEEDED);
    const internal::v1::JobPlan plan = rank_->Last(FakeRank::Order::kRunJob).run_job().plan();
    EXPECT_TRUE(plan.has_image());
    EXPECT_EQ(picture, plan.image());
  }
}

TEST_F(InputsTest, ANewProcessKnowsWhatIsKept) {
  Serve();
  const v1::Input input = Upload(PngHeader(64, 48)).value();
  stub_.reset();
  frontend_.reset();
  ServeWithRank(ImageModel());
  AwaitState(Create(Naming(input))->name(), v1::SUCCEEDED);
  EXPECT_EQ(PngHeader(64, 48), rank_->Last(FakeRank::Order::kRunJob).run_job().plan().image());
}

TEST_F(InputsTest, ATenantNamesItsOwnInputsOnly) {
  ServeWithRank(ImageModel());
  v1::Input nobodys;
  nobodys.set_name("inputs/" + std::string(64, '0'));
  const absl::Status unknown = Create(Naming(nobodys)).status();
  EXPECT_TRUE(absl::IsNotFound(unknown));
  EXPECT_EQ("UNKNOWN_INPUT", ErrorReason(unknown));
  // Bytes that lie there for a job are no input of anybody.
  v1::GenerateRequest with_image = Request();
  with_image.set_image(PngHeader(48, 48));
  ASSERT_TRUE(Create(with_image).ok());
  nobodys.set_name("inputs/" + Sha256Hex(PngHeader(48, 48)));
  EXPECT_EQ("UNKNOWN_INPUT", ErrorReason(Create(Naming(nobodys)).status()));
}

TEST_F(InputsTest, OnlyAPictureIsAJobsPicture) {
  ServeWithRank(ImageModel());
  const absl::Status text = Create(Naming(Upload("no picture").value())).status();
  EXPECT_EQ("IMAGE", ErrorReason(text));
  EXPECT_THAT(std::string(text.message()), HasSubstr("image_input is"));
  std::string large = PngHeader(64, 48);
  large.resize(16 * 1024 * 1024 + 1);
  EXPECT_THAT(std::string(Create(Naming(Upload(large).value())).status().message()),
              HasSubstr("image_input has 16777217 bytes; at most 16777216 are legal"));
}

TEST_F(InputsTest, WhatIsWrongWithAnUploadIsSaidAndLeavesNothing) {
  Serve();
  const auto refused = [this](const std::vector<v1::Chunk>& pieces) {
    const std::unique_ptr<Open> open = Begin();
    for (const v1::Chunk& piece : pieces) open->writer->Write(piece);
    open->writer->WritesDone();
    const absl::Status status = FromGrpc(open->writer->Finish());
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ("INPUT", ErrorReason(status));
    return std::string(status.message());
  };
  EXPECT_THAT(refused({Piece(0, "abc"), Piece(4, "d", true)}), HasSubstr("legal is 3"));
  EXPECT_THAT(refused({Piece(0, "abc")}), HasSubstr("last is true of no piece"));
  EXPECT_THAT(refused({}), HasSubstr("last is true of no piece"));
  v1::Chunk wrong = Piece(0, "abc", true);
  wrong.set_sha256(Sha256Hex("abd"));
  EXPECT_THAT(refused({wrong}), HasSubstr(Sha256Hex("abc")));
  Await([this] { return FilesIn("tmp") == 0; });
  EXPECT_EQ(0, FilesIn("inputs"));
}

TEST_F(InputsTest, ACallerThatLeavesInTheMiddleLeavesNothing) {
  Serve();
  const std::unique_ptr<Open> open = Begin();
  ASSERT_TRUE(open->writer->Write(Piece(0, "abc")));
  Await([this] { return FilesIn("tmp") == 1; });
  open->context.TryCancel();
  EXPECT_TRUE(absl::IsCancelled(FromGrpc(open->writer->Finish())));
  Await([this] { return FilesIn("tmp") == 0; });
}

TEST_F(InputsTest, AnUploadThatBringsNothingIsCut) {
  Serve(seconds(1));
  const std::unique_ptr<Open> open = Begin();
  ASSERT_TRUE(open->writer->Write(Piece(0, "abc")));
  EXPECT_TRUE(absl::IsCancelled(FromGrpc(open->writer->Finish())));
  EXPECT_EQ(1, frontend_->streams_cut());
  Await([this] { return FilesIn("tmp") == 0; });
}

TEST_F(InputsTest, AStopEndsUploads) {
  Serve();
  const std::unique_ptr<Open> open = Begin();
  ASSERT_TRUE(open->writer->Write(Piece(0, "abc")));
  Await([this] { return FilesIn("tmp") == 1; });
  frontend_->Stop();
  EXPECT_EQ("DRAINING", ErrorReason(FromGrpc(open->writer->Finish())));
  EXPECT_EQ(0, FilesIn("tmp"));
}

TEST_F(InputsTest, UploadsCountAmongTheStreams) {
  config_.set_max_tenant_streams(1);
  Serve();
  const std::unique_ptr<Open> first = Begin();
  ASSERT_TRUE(first->writer->Write(Piece(0, "abc")));
  Await([this] { return FilesIn("tmp") == 1; });
  EXPECT_EQ("STREAMS", ErrorReason(Upload("abc").status()));
  first->writer->Write(Piece(3, "d", true));
  EXPECT_TRUE(first->writer->Finish().ok());
  Await([this] { return Upload("abc").ok(); });
}

TEST_F(InputsTest, InputsCountAmongTheQueuedBytes) {
  config_.set_max_queued_bytes(1'000'000);
  Serve();
  ASSERT_TRUE(Upload(std::string(600'000, 'a')).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Upload(std::string(600'000, 'b')).status()));
  frontend_.reset();
  Serve();
  EXPECT_TRUE(absl::IsResourceExhausted(Upload(std::string(600'000, 'b')).status()))
      << "also after a restart";
  EXPECT_TRUE(Upload(std::string(600'000, 'a')).ok() == false)
      << "the same bytes again are in the way while they come";
}

}  // namespace
}  // namespace cogwheel
