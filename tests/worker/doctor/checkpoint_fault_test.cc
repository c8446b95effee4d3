#include "worker/doctor/checkpoint_checks.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/doctor/file_trouble.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class CheckpointFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "checkpoint_fault_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    model_ = root_ / "models--org--the-name" / "snapshots" / "0123abcd";
    Write(model_ / "vae" / "w.safetensors", "whole");
    Write(model_ / "w.safetensors", "whole");
  }
  void TearDown() override { fs::remove_all(root_); }
  static void Write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  Finding FaultOfFile(const std::string& path) const {
    return CheckpointFault(model_, path + " is damaged: it has no header");
  }
  fs::path root_, model_;
};

TEST_F(CheckpointFaultTest, NamesTheFetchOfASnapshot) {
  EXPECT_EQ(FetchCommand(model_), "hf download org/the-name");
  EXPECT_EQ(FetchCommand(model_.string() + "/"), "hf download org/the-name");
  EXPECT_EQ(FetchCommand("/data/m"), "hf download ORG/NAME --local-dir /data/m");
  EXPECT_EQ(FetchCommand("/data/models--a--b"),
            "hf download ORG/NAME --local-dir /data/models--a--b");
}

TEST_F(CheckpointFaultTest, FindsTheFileThatAMessageNames) {
  const std::string vae = model_ / "vae" / "w.safetensors";
  EXPECT_EQ(NamedFile(model_, vae + " is damaged"), vae);
  EXPECT_EQ(NamedFile(model_, "w.safetensors is damaged"), model_ / "w.safetensors");
  EXPECT_EQ(NamedFile(model_, "nothing of it"), "");
  EXPECT_EQ(NamedFile(model_, model_.string() + "/vae holds no weights"), "");
  fs::create_symlink("../../blobs/beef", model_ / "vae" / "other");
  EXPECT_EQ(NamedFile(model_, model_.string() + "/vae holds no weights"), model_ / "vae" / "other");
}

TEST_F(CheckpointFaultTest, KeepsTheRefusalWhereTheFileItselfIsWhole) {
  const Finding fault = FaultOfFile(model_ / "vae/w.safetensors");
  EXPECT_THAT(fault.what, HasSubstr("is damaged: it has no header"));
  EXPECT_EQ(fault.way_out, "fetch it again, whole: hf download org/the-name");
}

TEST_F(CheckpointFaultTest, SaysWhatIsWrongWithTheFile) {
  const fs::path file = model_ / "vae" / "w.safetensors";
  Write(file, "");
  EXPECT_THAT(FaultOfFile(file).what, HasSubstr("w.safetensors is empty"));
  Write(file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n");
  EXPECT_THAT(FaultOfFile(file).way_out, HasSubstr("git lfs pull"));
  Write(file, "version https://example.org");
  EXPECT_THAT(FaultOfFile(file).what, HasSubstr("is damaged"));
  fs::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);  // opening it would wait for a writer
  EXPECT_THAT(FaultOfFile(file).what, HasSubstr("w.safetensors is no regular file"));
  fs::remove(file);
  fs::create_symlink("../../blobs/beef", file);
  EXPECT_THAT(FaultOfFile(file).what,
              HasSubstr("is a link to ../../blobs/beef, which is not there"));
  EXPECT_THAT(FaultOfFile(file).way_out, HasSubstr("hf download org/the-name"));
}

TEST_F(CheckpointFaultTest, FindsUnfinishedDownloads) {
  EXPECT_EQ(UnfinishedDownload(model_), "");
  const fs::path local = model_ / ".cache/huggingface/download/vae/x.incomplete";
  Write(local, "part");
  EXPECT_EQ(UnfinishedDownload(model_), local);
  EXPECT_THAT(CheckpointFault(model_, "vae/config.json is missing").way_out,
              HasSubstr(local.string() + " is left: hf download org/the-name"));
  fs::remove(local);
  const fs::path blob = root_ / "models--org--the-name" / "blobs" / "beef.incomplete";
  Write(blob, "part");
  EXPECT_EQ(UnfinishedDownload(model_), blob);
}

TEST_F(CheckpointFaultTest, WhatMayNotBeOpenedIsNotFetchedAgain) {
  for (const std::string inside : {"", "/vae", "/transformer/config.json"}) {
    const std::string refusal = "status: Permission denied [" + model_.string() + inside + "]";
    EXPECT_EQ(CheckpointFault(model_, refusal).way_out,
              "chmod -R a+rX " + model_.string() + ", or run as its owner");
  }
}

TEST_F(CheckpointFaultTest, ValuesAreNotFetchedAgain) {
  const Finding value = CheckpointFault(model_, "c.json: heads is 7; expected a multiple of 16");
  EXPECT_EQ(value.what, "c.json: heads is 7; expected a multiple of 16");
  EXPECT_THAT(value.way_out, HasSubstr("CogVideoXPipeline"));
  EXPECT_THAT(CheckpointFault(model_, "tensor a has dtype I64; weights are F64 or F32").way_out,
              HasSubstr("save it again in fp32, bf16 or fp16"));
  const Finding own = CheckpointFault(model_, "x.bin is pickle; convert it with Y");
  EXPECT_EQ(own.what, "x.bin is pickle");
  EXPECT_EQ(own.way_out, "convert it with Y");
  EXPECT_THAT(CheckpointFault("/nowhere", "folder /nowhere does not exist").way_out,
              HasSubstr("ORG/NAME"));
}

}  // namespace
}  // namespace cogwheel
