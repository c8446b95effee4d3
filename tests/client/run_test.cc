#include "client/run.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <tuple>
#include <vector>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "tests/client/fake_video_service.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Threads inherit it: the fake server's must not take the signals that RunClient waits for.
struct BlockedSignals {
  BlockedSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  }
};

// The whole program against a server whose answers the test writes.
class RunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "run_test_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    output_ = folder_ / "video.mp4";
  }
  void TearDown() override { fs::remove_all(folder_); }

  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), "cogwheel");
    words.insert(words.end(), {"--server", service_.address()});
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int exit_code = RunClient(static_cast<int>(argv.size()), argv.data());
    stdout_ = ::testing::internal::GetCapturedStdout();
    stderr_ = ::testing::internal::GetCapturedStderr();
    return exit_code;
  }
  int Generate(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"generate", "--prompt", "x", "--seed", "7", "-o", output_};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  // The service makes a job of `pieces` that ends with `last`.
  void Answer(const std::vector<v1::Chunk>& pieces, const v1::JobEvent& last) {
    service_.generate = [=](const v1::GenerateRequest&, FakeVideoService::EventWriter& writer,
                            grpc::ServerContext&) {
      v1::JobEvent event;
      event.set_job("jobs/0");
      event.set_attempt(1);
      for (const v1::Chunk& piece : pieces) {
        event.set_sequence(event.sequence() + 1);
        *event.mutable_chunk() = piece;
        writer.Write(event);
      }
      v1::JobEvent end = last;
      end.set_job("jobs/0");
      end.set_attempt(1);
      end.set_sequence(event.sequence() + 1);
      writer.Write(end);
      return grpc::Status::OK;
    };
  }
  static v1::Chunk Piece(int64_t offset, const std::string& data) {
    v1::Chunk chunk;
    chunk.set_offset(offset);
    chunk.set_data(data);
    return chunk;
  }
  static v1::JobEvent Success(const std::string& result) {
    v1::JobEvent event;
    event.mutable_succeeded()->set_size_bytes(static_cast<int64_t>(result.size()));
    event.mutable_succeeded()->set_sha256(Sha256Hex(result));
    return event;
  }
  std::string Content() const {
    std::stringstream text;
    text << std::ifstream(output_).rdbuf();
    return text.str();
  }
  void ExpectOneLineAndNoFile() const {
    EXPECT_EQ(std::count(stderr_.begin(), stderr_.end(), '\n'), 1) << stderr_;
    EXPECT_TRUE(stderr_.starts_with("cogwheel: ")) << stderr_;
    EXPECT_TRUE(fs::is_empty(folder_));
  }

  BlockedSignals blocked_;
  FakeVideoService service_;
  fs::path folder_, output_;
  std::string stdout_, stderr_;
};

TEST_F(RunTest, AResultThatCameWithTheEventsIsNotDownloaded) {
  Answer({Piece(0, "hello "), Piece(6, "world")}, Success("hello world"));
  EXPECT_EQ(Generate(), 0);
  EXPECT_EQ(Content(), "hello world");
  EXPECT_THAT(stdout_, HasSubstr("video.mp4  seed 7  "));
  EXPECT_EQ(stderr_, "");
}

TEST_F(RunTest, WhatIsMissingIsDownloaded) {
  std::vector<int64_t> asked;
  service_.download = [&](const v1::DownloadVideoRequest& request,
                          FakeVideoService::ChunkWriter& writer) {
    asked.push_back(request.offset());
    v1::Chunk chunk = Piece(request.offset(), std::string("hello world").substr(request.offset()));
    chunk.set_last(true);
    writer.Write(chunk);
    return grpc::Status::OK;
  };
  Answer({Piece(0, "hello "), Piece(8, "rld")}, Success("hello world"));
  EXPECT_EQ(Generate(), 0) << stderr_;
  EXPECT_EQ(Content(), "hello world");
  Answer({Piece(0, "HELLO world")}, Success("hello world"));
  EXPECT_EQ(Generate(), 0) << stderr_;
  EXPECT_EQ(Content(), "hello world");
  EXPECT_THAT(asked, ::testing::ElementsAre(6, 0));
}

TEST_F(RunTest, ADamagedResultIsNoResult) {
  service_.download = [](const v1::DownloadVideoRequest&, FakeVideoService::ChunkWriter& writer) {
    v1::Chunk chunk = Piece(0, "HELLO world");
    chunk.set_last(true);
    writer.Write(chunk);
    return grpc::Status::OK;
  };
  Answer({}, Success("hello world"));
  EXPECT_EQ(Generate(), 4);
  EXPECT_THAT(stderr_, HasSubstr("SHA-256"));
  ExpectOneLineAndNoFile();
}

TEST_F(RunTest, StandardOutputGetsTheResultOnceAndNothingElse) {
  service_.download = [](const v1::DownloadVideoRequest& request,
                         FakeVideoService::ChunkWriter& writer) {
    v1::Chunk chunk = Piece(request.offset(), std::string("hello world").substr(request.offset()));
    chunk.set_media_type("video/mp4");
    chunk.set_last(true);
    chunk.set_size_bytes(11);
    chunk.set_sha256(Sha256Hex("hello world"));
    writer.Write(chunk);
    return grpc::Status::OK;
  };
  Answer({Piece(0, "of an attempt that was lost")}, Success("hello world"));
  EXPECT_EQ(Run({"generate", "--prompt", "x", "--seed", "7", "-o", "-"}), 0) << stderr_;
  EXPECT_EQ(stdout_, "hello world");
  EXPECT_THAT(stderr_, HasSubstr("-  seed 7  "));
  EXPECT_EQ(Run({"download", "01hzzzzzzzzzzzzzzzzzzzzzzz", "-o", "-"}), 0) << stderr_;
  EXPECT_EQ(stdout_, "hello world");
  EXPECT_EQ(stderr_, "-  11 bytes\n");
  EXPECT_FALSE(fs::exists("-"));
  EXPECT_EQ(Run({"download", "01hzzzzzzzzzzzzzzzzzzzzzzz", "-o", "-", "--json"}), 2);
  EXPECT_THAT(stderr_, HasSubstr("output - cannot be used with --json"));
}

TEST_F(RunTest, ADamagedResultOnStandardOutputIsAFailure) {
  service_.download = [](const v1::DownloadVideoRequest&, FakeVideoService::ChunkWriter& writer) {
    v1::Chunk chunk = Piece(0, "HELLO world");
    chunk.set_last(true);
    writer.Write(chunk);
    return grpc::Status::OK;
  };
  Answer({}, Success("hello world"));
  EXPECT_EQ(Run({"generate", "--prompt", "x", "-o", "-"}), 4);
  EXPECT_THAT(stderr_, HasSubstr("SHA-256"));
}

TEST_F(RunTest, ASuffixThatIsNotTheResultsIsRefusedBeforeAnythingStarts) {
  bool asked = false;
  service_.generate = [&asked](const v1::GenerateRequest&, FakeVideoService::EventWriter&,
                               grpc::ServerContext&) {
    asked = true;
    return grpc::Status::OK;
  };
  const auto refused = [&](const std::string& name, const std::string& type,
                           const std::string& legal) {
    const std::string file = folder_ / name;
    EXPECT_EQ(Run({"generate", "--prompt", "x", "-o", file, "--output-type", type}), 2) << name;
    EXPECT_THAT(stderr_, HasSubstr("output " + file + ": the suffix "));
    EXPECT_THAT(stderr_, HasSubstr("legal is " + legal + " or none"));
    ExpectOneLineAndNoFile();
  };
  refused("a.avi", "video", ".mp4");
  refused("a.safetensors", "video", ".mp4");
  refused("a.mp4.part", "video", ".mp4");
  refused("a.mp4", "frames", ".safetensors");
  refused("a.pt", "latent", ".safetensors");
  EXPECT_FALSE(asked);
}

TEST_F(RunTest, ADownloadIsNamedByWhatItIs) {
  service_.download = [](const v1::DownloadVideoRequest&, FakeVideoService::ChunkWriter& writer) {
    v1::Chunk chunk = Piece(0, "tensor");
    chunk.set_media_type("application/octet-stream");
    chunk.set_last(true);
    chunk.set_size_bytes(6);
    chunk.set_sha256(Sha256Hex("tensor"));
    writer.Write(chunk);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"download", "01hzzzzzzzzzzzzzzzzzzzzzzz", "-o", output_}), 2);
  EXPECT_THAT(stderr_, HasSubstr("the suffix .mp4 is not that of the result"));
  ExpectOneLineAndNoFile();
  fs::current_path(folder_);
  EXPECT_EQ(Run({"download", "01hzzzzzzzzzzzzzzzzzzzzzzz"}), 0) << stderr_;
  EXPECT_EQ(stdout_, "video.safetensors  6 bytes\n");
  EXPECT_EQ(Run({"download", "01hzzzzzzzzzzzzzzzzzzzzzzz", "-o", "plain"}), 0) << stderr_;
  EXPECT_TRUE(fs::exists(folder_ / "plain"));
  fs::current_path("/");
}

// Whatever the form of what was printed: `--json` too.
TEST_F(RunTest, WarningsGoToStandardErrorOnceEach) {
  const auto answer = [this](bool snapshot) {
    service_.watch = [snapshot](const v1::WatchJobRequest&, FakeVideoService::EventWriter& writer) {
      v1::JobEvent event;
      event.set_job("jobs/0");
      for (int attempt = 1; attempt <= 2; ++attempt) {
        event.set_attempt(attempt);
        event.set_sequence(attempt);
        event.mutable_started()->add_warnings("attempt " + std::to_string(attempt) + "\nsays");
        writer.Write(event);
      }
      event.set_sequence(3);
      if (snapshot) {
        event.mutable_snapshot()->set_state(v1::SUCCEEDED);
        event.mutable_snapshot()->add_warnings("of the snapshot");
      } else {
        event.mutable_succeeded();
      }
      writer.Write(event);
      return grpc::Status::OK;
    };
  };
  const std::string first = "cogwheel: warning: attempt 1 says\n",
                    second = "cogwheel: warning: attempt 2 says\n";
  answer(/*snapshot=*/false);
  EXPECT_EQ(Run({"watch", "01hzzzzzzzzzzzzzzzzzzzzzzz"}), 0);
  EXPECT_EQ(stderr_, first + second);
  answer(/*snapshot=*/true);
  EXPECT_EQ(Run({"watch", "01hzzzzzzzzzzzzzzzzzzzzzzz", "--json"}), 0);
  EXPECT_EQ(stderr_, first + second + "cogwheel: warning: of the snapshot\n");
  EXPECT_EQ(std::count(stdout_.begin(), stdout_.end(), '\n'), 3);
}

// B16: pieces of two attempts, or with a gap, are as many bytes as the result and are not it.
TEST_F(RunTest, PiecesThatDoNotBelongTogetherAreDownloadedAnew) {
  const std::string result = "hello world";
  int64_t asked_from = -1;
  service_.download = [&](const v1::DownloadVideoRequest& request,
                          FakeVideoService::ChunkWriter& writer) {
    asked_from = request.offset();
    v1::Chunk chunk = Piece(request.offset(), result.substr(request.offset()));
    chunk.set_last(true);
    writer.Write(chunk);
    return grpc::Status::OK;
  };
  Answer({Piece(0, "HELLO "), Piece(6, "world")}, Success(result));  // as long
  EXPECT_EQ(Generate(), 0) << stderr_;
  EXPECT_EQ(Content(), result);
  EXPECT_EQ(asked_from, 0);
  Answer({Piece(0, "HELLO "), Piece(8, "rld")}, Success(result));  // and with a gap
  EXPECT_EQ(Generate(), 0) << stderr_;
  EXPECT_EQ(Content(), result);
  EXPECT_EQ(asked_from, 0);
}

// A job may wait for long: what was known when it was accepted is told while it does.
TEST_F(RunTest, GenerateTellsWhatIsKnownBeforeTheJobRuns) {
  service_.accepted.add_warnings("it does not know: cat");
  service_.generate = [](const v1::GenerateRequest&, FakeVideoService::EventWriter& writer,
                         grpc::ServerContext&) {
    v1::JobEvent event;
    event.set_job("jobs/0");
    for (int position = 2; position >= 1; --position) {
      event.set_sequence(event.sequence() + 1);
      event.mutable_queued()->set_position(position);
      writer.Write(event);
    }
    event.set_sequence(3);
    event.mutable_started()->add_warnings("it does not know: cat");
    event.mutable_started()->add_warnings("cut");
    writer.Write(event);
    event.set_sequence(4);
    event.mutable_cancelled();
    writer.Write(event);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Generate(), 5);
  EXPECT_TRUE(stderr_.starts_with(
      "cogwheel: warning: it does not know: cat\ncogwheel: warning: cut\ncogwheel: jobs/0"))
      << stderr_;
}

TEST_F(RunTest, SubmitTellsWhatIsKnownByThen) {
  service_.create = [](const v1::GenerateRequest& request, v1::Job& job) {
    EXPECT_FALSE(request.has_seed());  // -1: the server draws one
    job.set_name("jobs/0");
    job.add_warnings("turned");
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"submit", "--prompt", "x", "--seed", "-1"}), 0);
  EXPECT_EQ(stdout_, "jobs/0\n");
  EXPECT_EQ(stderr_, "cogwheel: warning: turned\n");
}

TEST_F(RunTest, ADownloadTellsTheMediaTypeThatCameFirst) {
  service_.download = [](const v1::DownloadVideoRequest&, FakeVideoService::ChunkWriter& writer) {
    v1::Chunk first = Piece(0, "hello "), last = Piece(6, "world");
    first.set_media_type("video/mp4");
    last.set_last(true);
    last.set_size_bytes(11);
    last.set_sha256(Sha256Hex("hello world"));
    writer.Write(first);
    writer.Write(last);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"download", "01hzzzzzzzzzzzzzzzzzzzzzzz", "-o", output_, "--json"}), 0) << stderr_;
  EXPECT_EQ(Content(), "hello world");
  EXPECT_THAT(stdout_, HasSubstr("\"media_type\":\"video/mp4\""));
}

TEST_F(RunTest, TheEndOfTheJobIsTheExitCode) {
  v1::JobEvent failed, cancelled, expired;
  failed.mutable_failed()->mutable_error()->set_message("rank 2\nended");
  cancelled.mutable_cancelled();
  expired.mutable_expired()->mutable_error()->set_message("deadline of 1 s");
  const std::vector<std::tuple<v1::JobEvent, int, std::string>> cases = {
      {failed, 4, "jobs/0 failed: rank 2 ended"},
      {cancelled, 5, "jobs/0 cancelled"},
      {expired, 4, "jobs/0 expired: deadline of 1 s"}};
  for (const auto& [last, exit_code, line] : cases) {
    Answer({Piece(0, "half")}, last);
    EXPECT_EQ(Generate(), exit_code);
    EXPECT_EQ(stderr_, "cogwheel: " + line + "\n");
    ExpectOneLineAndNoFile();
  }
}

TEST_F(RunTest, ARefusalIsPassedOn) {
  service_.create = [](const v1::GenerateRequest&, v1::Job&) {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "256 jobs are queued");
  };
  EXPECT_EQ(Generate(), 3);
  EXPECT_EQ(stderr_, "cogwheel: 256 jobs are queued\n");
  ExpectOneLineAndNoFile();
}

TEST_F(RunTest, JsonLinesAreAllThatGoesToStandardOutput) {
  Answer({Piece(0, "hello "), Piece(6, "world")}, Success("hello world"));
  EXPECT_EQ(Generate({"--json"}), 0);
  std::istringstream lines(stdout_);
  std::vector<nlohmann::json> events;
  for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1]["chunk"]["offset"], "6");
  EXPECT_FALSE(events[1]["chunk"].contains("data"));
  EXPECT_TRUE(events[2].contains("succeeded"));
  EXPECT_THAT(stderr_, HasSubstr("seed 7"));
}

TEST_F(RunTest, TheSeedIsTheClientsUnlessSubmitted) {
  v1::GenerateRequest seen;
  service_.create = [&](const v1::GenerateRequest& request, v1::Job& job) {
    seen = request;
    job.set_name("jobs/1");
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"submit", "--prompt", "x", "--request-id", "r"}), 0);
  EXPECT_EQ(stdout_, "jobs/1\n");
  EXPECT_FALSE(seen.has_seed()) << "the same command is the same request";
  EXPECT_EQ(seen.request_id(), "r");
  service_.generate = [&](const v1::GenerateRequest& request, FakeVideoService::EventWriter&,
                          grpc::ServerContext&) {
    seen = request;
    return grpc::Status(grpc::StatusCode::INTERNAL, "enough");
  };
  EXPECT_EQ(Run({"generate", "--prompt", "x", "-o", output_}), 4);
  EXPECT_TRUE(seen.has_seed());
  EXPECT_LT(seen.seed(), uint64_t{1} << 32);
}

TEST_F(RunTest, ASignalCancelsTheJob) {
  std::atomic<bool> cancelled = false, gone = false, answered = false;
  service_.cancel = [&](const v1::CancelJobRequest& request, v1::Job&) {
    EXPECT_EQ(request.name(), "jobs/0");
    cancelled = true;
    return grpc::Status::OK;
  };
  service_.generate = [&](const v1::GenerateRequest&, FakeVideoService::EventWriter& writer,
                          grpc::ServerContext& context) {
    v1::JobEvent event;
    event.set_job("jobs/0");
    event.set_sequence(1);
    writer.Write(event);
    kill(getpid(), SIGINT);  // blocked in all threads: RunClient reads it
    while (!cancelled && !context.IsCancelled()) std::this_thread::yield();
    gone = context.IsCancelled();
    answered = true;
    answered.notify_all();
    event.set_sequence(2);
    event.mutable_cancelled();
    writer.Write(event);
    return grpc::Status::CANCELLED;
  };
  EXPECT_EQ(Generate(), 5);
  answered.wait(false);
  EXPECT_TRUE(cancelled || gone);
  EXPECT_THAT(stderr_, HasSubstr("interrupted"));
  ExpectOneLineAndNoFile();
}

TEST_F(RunTest, BadJobNamesDoNotReachTheServer) {
  for (const char* name : {"jobs/", "../x", "jobs/0123456789012345678901234u", ""}) {
    EXPECT_EQ(Run({"get", name}), 2) << name;
    ExpectOneLineAndNoFile();
  }
}

}  // namespace
}  // namespace cogwheel
