// Which folder --model means: any path that the system opens, else the hub's cache as
// huggingface_hub 1.32 lays it out and reads it offline.
#include "base/model_path.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hub_cache.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kOld[] = "1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01";
constexpr char kNew[] = "f0e1d2c3b4a5968778695a4b3c2d1e0f00112233";

GetVariable Variables(const std::map<std::string, std::string>& values) {
  return [values](const char* name) {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  };
}

class ModelPath : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / ("cogwheel-model-path-" + std::to_string(getpid()) + "-" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
    fs::create_directories(hub());
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path hub() const { return folder_ / "hub"; }
  fs::path repository() const { return hub() / "models--org--name"; }
  void Write(const fs::path& path, const std::string& text) const {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  // A complete one; `age_s` seconds old.
  fs::path AddSnapshot(const std::string& revision, int age_s) const {
    const fs::path snapshot = repository() / "snapshots" / revision;
    Write(snapshot / "model_index.json",
          R"({"_class_name": "P", "vae": ["diffusers", "V"], "tokenizer": ["transformers", "T"],
              "feature_extractor": [null, null]})");
    Write(snapshot / "vae/config.json", "{}");
    Write(repository() / "blobs/0", "weights");
    fs::create_symlink("../../../blobs/0", snapshot / "vae/model.safetensors");
    Write(snapshot / "tokenizer/tokenizer_config.json", "{}");
    SetAge(snapshot, age_s);
    return snapshot;
  }
  static void SetAge(const fs::path& snapshot, int age_s) {
    fs::last_write_time(snapshot, fs::file_time_type::clock::now() - std::chrono::seconds(age_s));
  }
  absl::StatusOr<std::string> Find(const std::string& given) const {
    return FindModel(given, Variables({{"HF_HUB_CACHE", hub().string()}}));
  }
  std::string Refusal(const std::string& given) const {
    const absl::StatusOr<std::string> found = Find(given);
    EXPECT_TRUE(absl::IsInvalidArgument(found.status())) << given << found.status();
    EXPECT_THAT(std::string(found.status().message()), Not(HasSubstr("\n")));
    return std::string(found.status().message());
  }
  fs::path folder_;
};

TEST_F(ModelPath, NamesComeFromTheRepositoryOrThePathAsGiven) {
  const std::string snapshots = "/h/models--zai-org--CogVideoX1.5-5B-I2V/snapshots/";
  const std::string cwd = fs::current_path().filename();
  for (const auto& [path, name] : std::map<std::string, std::string>{
           {snapshots + kOld, "CogVideoX1.5-5B-I2V"},
           {snapshots + kOld + "/", "CogVideoX1.5-5B-I2V"},
           {snapshots + kOld + "/./", "CogVideoX1.5-5B-I2V"},
           {snapshots + "any", "CogVideoX1.5-5B-I2V"},
           {snapshots + kOld + "/transformer/..", "CogVideoX1.5-5B-I2V"},
           {"/h/models--gpt2/snapshots/a", "gpt2"},
           {"/h/datasets--org--name/snapshots/a", "a"},
           {"/h/models--org--name/refs/a", "a"},
           {"/models/shapes", "shapes"},
           {"/models/shapes///", "shapes"},
           {"/models/a/../b", "b"},
           {"/models/with space é", "with space é"},
           {"/models/" + std::string(200, 'x'), std::string(200, 'x')},
           {"relative", "relative"},
           {"./relative/.", "relative"},
           {".", cwd},
           {"/", ""}}) {
    EXPECT_EQ(ModelFolderName(path), name) << path;
  }
}

TEST_F(ModelPath, ALinkHasItsOwnName) {
  const fs::path snapshot = AddSnapshot(kOld, 0);
  fs::create_directory_symlink(snapshot, folder_ / "my model");
  EXPECT_EQ(*Find(folder_ / "my model"), folder_ / "my model");
  EXPECT_EQ(ModelFolderName(folder_ / "my model"), "my model");
}

TEST_F(ModelPath, AnyPathThatTheSystemOpens) {
  std::string deep = folder_.string();
  while (deep.size() < 3500) deep += "/" + std::string(200, 'd');
  for (const std::string& path :
       {deep, (folder_ / "\xff\xfe").string(), (folder_ / "new\nline").string(),
        (folder_ / "-x").string(), (folder_ / std::string(255, 'n')).string()}) {
    std::error_code error;
    fs::create_directories(path, error);
    ASSERT_FALSE(error) << error.message();
    EXPECT_EQ(*Find(path), path);
  }
}

// constants.py of huggingface_hub.
TEST_F(ModelPath, TheCacheLiesWhereTheHubsLibraryPutsIt) {
  const auto cache = [](std::map<std::string, std::string> values) {
    values.emplace("HOME", "/home/me");
    return HubCacheFolder(Variables(values)).string();
  };
  EXPECT_EQ(cache({}), "/home/me/.cache/huggingface/hub");
  EXPECT_EQ(cache({{"XDG_CACHE_HOME", "/c"}}), "/c/huggingface/hub");
  EXPECT_EQ(cache({{"XDG_CACHE_HOME", "/c"}, {"HF_HOME", "~/hf"}}), "/home/me/hf/hub");
  EXPECT_EQ(cache({{"HF_HOME", "/hf"}, {"HUGGINGFACE_HUB_CACHE", "/old"}}), "/old");
  EXPECT_EQ(cache({{"HF_HOME", "/hf"}, {"HF_HUB_CACHE", "/own"}, {"HUGGINGFACE_HUB_CACHE", "/o"}}),
            "/own");
  EXPECT_EQ(cache({{"HF_HUB_CACHE", "${SCRATCH}/hub$USER$"}, {"SCRATCH", "/s"}}), "/s/hub$USER$");
  EXPECT_EQ(cache({{"HF_HUB_CACHE", "$SCRATCH"}, {"SCRATCH", "/s"}}), "/s");
  EXPECT_EQ(cache({{"HF_HUB_CACHE", "~"}}), "/home/me");
  EXPECT_EQ(cache({{"HF_HUB_CACHE", ""}, {"HF_HOME", ""}}), "/home/me/.cache/huggingface/hub");
}

TEST_F(ModelPath, AnExistingPathWinsOverTheHub) {
  AddSnapshot(kOld, 0);
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  EXPECT_EQ(*Find("org/name"), repository() / "snapshots" / kOld);
  fs::create_directories("org/name");
  EXPECT_EQ(*Find("org/name"), "org/name");
  fs::current_path(before);
}

TEST_F(ModelPath, TheMainRevisionIsTaken) {
  const fs::path old = AddSnapshot(kOld, 100);
  const fs::path newest = AddSnapshot(kNew, 10);
  EXPECT_EQ(*Find("org/name"), newest);
  Write(repository() / "refs/main", kOld);
  EXPECT_EQ(*Find("org/name"), old);
  EXPECT_EQ(*Find(repository()), old);
  EXPECT_EQ(*Find(repository() / ""), old);
  EXPECT_EQ(*Find(newest), newest);
  for (const char* useless :
       {"", "\n", "0000000000000000000000000000000000000000", "../refs", ".."}) {
    Write(repository() / "refs/main", useless);
    EXPECT_EQ(*Find("org/name"), newest) << useless;
  }
  Write(repository() / "refs/main", std::string(kOld) + "\n");
  EXPECT_EQ(*Find("org/name"), old);
}

// `hf download` names it before its files are there.
TEST_F(ModelPath, AnIncompleteMainRevisionIsTakenLast) {
  const fs::path oldest = AddSnapshot("0a", 200);
  const fs::path whole = AddSnapshot(kOld, 100);
  const fs::path part = AddSnapshot(kNew, 300);
  fs::remove(part / "vae/model.safetensors");
  SetAge(part, 300);
  Write(repository() / "refs/main", kNew);
  EXPECT_EQ(*Find("org/name"), whole);
  fs::remove(whole / "model_index.json");
  fs::remove(oldest / "model_index.json");
  EXPECT_EQ(*Find("org/name"), part);  // whose reader says what is missing
}

// Opening one would wait for its writer.
TEST_F(ModelPath, PipesInTheCacheAreNotOpened) {
  const fs::path whole = AddSnapshot(kOld, 100);
  const fs::path part = AddSnapshot(kNew, 10);
  fs::remove(part / "model_index.json");
  ASSERT_EQ(mkfifo((part / "model_index.json").c_str(), 0600), 0);
  fs::create_directories(repository() / "refs");
  ASSERT_EQ(mkfifo((repository() / "refs/main").c_str(), 0600), 0);
  EXPECT_EQ(*Find("org/name"), whole);
}

TEST_F(ModelPath, OfSeveralSnapshotsTheNewestCompleteOne) {
  const fs::path whole = AddSnapshot(kOld, 100);
  const fs::path part = AddSnapshot(kNew, 10);
  const auto expect_incomplete = [&](const char* what) {
    SetAge(part, 10);
    EXPECT_EQ(*Find("org/name"), whole) << what;
    fs::remove_all(part);
    AddSnapshot(kNew, 10);
    EXPECT_EQ(*Find("org/name"), part);
  };
  fs::remove(part / "model_index.json");
  expect_incomplete("no index of the model");
  Write(part / "model_index.json", "{");
  expect_incomplete("half an index");
  fs::remove_all(part / "vae");
  expect_incomplete("no component");
  fs::remove(part / "vae/model.safetensors");
  expect_incomplete("no weights");
  fs::create_symlink("../../../blobs/gone", part / "vae/more.safetensors");
  expect_incomplete("a blob is gone");
  Write(part / "vae/model.safetensors.index.json", R"({"weight_map": {"a": "1.safetensors"}})");
  expect_incomplete("no shard");
  fs::remove(part / "tokenizer/tokenizer_config.json");
  expect_incomplete("an empty folder");
  fs::remove_all(whole);
  fs::remove(part / "model_index.json");
  EXPECT_EQ(*Find("org/name"), part);  // whose reader says what is missing
}

TEST_F(ModelPath, AMissingModelSaysWhereItLookedAndWhatIsThere) {
  EXPECT_THAT(Refusal("org/name"),
              AllOf(HasSubstr("org/name: no such folder"), HasSubstr(hub().string()),
                    HasSubstr("which holds no models")));
  AddSnapshot(kOld, 0);
  for (const char* more : {"a--1", "a--2", "b--1", "zai-org--x", "c--1", "c--2", "gpt2"}) {
    fs::create_directories(hub() / ("models--" + std::string(more)) / "snapshots");
  }
  fs::create_directories(hub() / "datasets--d--d" / "snapshots");
  EXPECT_THAT(Refusal("org/nam"), HasSubstr("which holds a/1, a/2, b/1, c/1, c/2 and 3 more"));
  EXPECT_THAT(Refusal("a/1"), AllOf(HasSubstr("a/1"), HasSubstr("holds no snapshot")));
  fs::remove_all(hub());
  EXPECT_THAT(Refusal("org/name"), HasSubstr("which does not exist"));
  for (const char* none : {"name", "/org/name", "./name", "a/b/c", "org/na me", "org/", "/",
                           "a--b/c", "../name", "org/.name"}) {
    if (fs::exists(none)) continue;
    EXPECT_THAT(Refusal(none), Not(HasSubstr(hub().string()))) << none;
  }
}

TEST_F(ModelPath, WhatIsNoFolderIsNamedForWhatItIs) {
  for (const auto& [file, said] :
       std::map<std::string, std::string>{{"model.safetensors", "from_single_file"},
                                          {"a.gguf", "GGUF"},
                                          {"pytorch_model.bin", "pickle"},
                                          {"a.ckpt", "pickle"},
                                          {"a.pt", "pickle"},
                                          {"flax_model.msgpack", "framework"},
                                          {"model_index.json", "its folder, " + folder_.string()},
                                          {"a.txt", "is a file"}}) {
    Write(folder_ / file, "x");
    EXPECT_THAT(Refusal(folder_ / file), HasSubstr(said));
  }
  fs::create_symlink("nowhere", folder_ / "link");
  EXPECT_THAT(Refusal(folder_ / "link"), HasSubstr("link to nowhere, which does not exist"));
  EXPECT_THAT(Refusal(folder_ / "a.txt/b"), HasSubstr("no such folder"));
  EXPECT_THAT(Refusal(std::string(5000, 'x')), HasSubstr("cannot be opened: File name too long"));
  fs::create_symlink("loop", folder_ / "loop");
  EXPECT_THAT(Refusal(folder_ / "loop"), HasSubstr("cannot be opened"));
  EXPECT_THAT(Refusal("it's two\nlines\x1b[31m"), HasSubstr("it's two?lines?[31m"));
  Write(folder_ / "two\nlines/model_index.json", "{}");
  EXPECT_THAT(Refusal(folder_ / "two\nlines/model_index.json"), HasSubstr("two?lines"));
  fs::create_symlink("no\nwhere", folder_ / "other link");
  EXPECT_THAT(Refusal(folder_ / "other link"), HasSubstr("link to no?where"));
}

}  // namespace
}  // namespace cogwheel
