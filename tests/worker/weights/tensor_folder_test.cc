// Which files of a folder are read, that what is not read is named with the way out, and tensors by
// the network's names. The order of generations is that of diffusers 0.42.1
// (models/modeling_utils.py, from_pretrained) and transformers 5.23 (modeling_utils.py,
// _get_resolved_checkpoint_files).
#include "worker/weights/tensor_folder.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

constexpr char kIndex[] = "diffusion_pytorch_model.safetensors.index.json";
constexpr char kFile[] = "diffusion_pytorch_model.safetensors";

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() /
           ("cogwheel-folder-" + std::to_string(getpid()) + "-" +
            testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  // Tensors of one element each; all hold `value`.
  void WriteTensors(const std::string& file, const std::vector<std::string>& names,
                    char value = 1) const {
    std::vector<TensorPlan> plans;
    for (const std::string& name : names) plans.push_back({name, TensorDtype::kU8, {1}});
    Write(file, SafetensorsHeader(plans) + std::string(names.size(), value));
  }
  TensorFolder Open(Saver saver = Saver::kDiffusers, const std::string& variant = "",
                    const std::string& known = "") const {
    return TensorFolder({dir_.string(), saver, variant, known});
  }
  // The value of tensor "a", which tells the file that was read.
  int Read(Saver saver, const std::string& variant = "") const {
    const TensorFolder folder = Open(saver, variant);
    std::byte value = {};
    folder.At("a").file->Read(folder.At("a").entry->offset, {&value, 1});
    return static_cast<int>(value);
  }
  std::string Refusal(Saver saver = Saver::kDiffusers, const std::string& variant = "") const {
    try {
      Open(saver, variant);
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(dir_.string()), Not(HasSubstr("\n"))));
      return error.what();
    }
    return "";
  }
  std::filesystem::path dir_;
};

TEST_F(Folder, FindsTheOneFile) {
  WriteTensors("model.safetensors", {"a"});
  const TensorFolder folder = Open(Saver::kTransformers);
  ASSERT_NE(folder.Find("a"), nullptr);
  EXPECT_EQ(folder.Find("a")->entry->bytes, 1);
  EXPECT_EQ(folder.Find("b"), nullptr);
  EXPECT_THAT([&] { folder.At("b"); },
              ThrowsMessage<std::invalid_argument>(
                  AllOf(HasSubstr("model.safetensors"), HasSubstr("tensor b is missing"))));
}

TEST_F(Folder, FindsTensorsInTheShardsOfAnIndex) {
  WriteTensors("one.safetensors", {"a"});
  WriteTensors("two.safetensors", {"b", "unmapped"});
  Write(kIndex,
        R"({"metadata": {}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})");
  const TensorFolder folder = Open();
  EXPECT_EQ(folder.tensors().size(), 3u);
  EXPECT_THAT(folder.At("b").file->path(), HasSubstr("two.safetensors"));
  EXPECT_THAT(folder.At("unmapped").file->path(), HasSubstr("two.safetensors"));
}

// Of a tensor that stands in two shards the map's is meant.
TEST_F(Folder, TheMapDecidesBetweenShards) {
  WriteTensors("1.safetensors", {"a", "b"}, 1);
  WriteTensors("2.safetensors", {"a", "c"}, 2);
  Write(kIndex, R"({"weight_map": {"a": "2.safetensors", "b": "1.safetensors"}})");
  EXPECT_EQ(Read(Saver::kDiffusers), 2);
  Write(kIndex, R"({"weight_map": {"a": "1.safetensors", "c": "2.safetensors"}})");
  EXPECT_EQ(Read(Saver::kDiffusers), 1);
}

TEST_F(Folder, OfTwoGenerationsTheOneThatTheReferenceReads) {
  for (const std::string stem : {"diffusion_pytorch_model", "model"}) {
    WriteTensors(stem + ".safetensors", {"a"}, 1);
    WriteTensors(stem + "-00001-of-00001.safetensors", {"a"}, 2);
    Write(stem + ".safetensors.index.json",
          R"({"weight_map": {"a": ")" + stem + R"(-00001-of-00001.safetensors"}})");
  }
  EXPECT_EQ(Read(Saver::kTransformers), 1);
  EXPECT_EQ(Read(Saver::kDiffusers), 2);
  for (const std::string stem : {"diffusion_pytorch_model", "model"}) {
    std::filesystem::remove(dir_ / (stem + "-00001-of-00001.safetensors"));
  }
  EXPECT_EQ(Read(Saver::kTransformers), 1);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr(kIndex), HasSubstr("1 of 1 shards are gone"),
                               HasSubstr("remove the index if"), HasSubstr(kFile)));
  std::filesystem::remove(dir_ / "model.safetensors");
  EXPECT_THAT(Refusal(Saver::kTransformers),
              AllOf(HasSubstr("model-00001-of-00001.safetensors, which is not there"),
                    HasSubstr("bring the shards")));
}

TEST_F(Folder, AVariantIsReadWhereThereIsOne) {
  WriteTensors(kFile, {"a"}, 1);
  WriteTensors("model.safetensors", {"a"}, 1);
  EXPECT_EQ(Read(Saver::kDiffusers, "fp16"), 1);  // the plain ones, as the reference
  EXPECT_EQ(Read(Saver::kTransformers, "fp16"), 1);
  WriteTensors("diffusion_pytorch_model.fp16.safetensors", {"a"}, 2);
  WriteTensors("model.fp16.safetensors", {"a"}, 2);
  EXPECT_EQ(Read(Saver::kDiffusers, "fp16"), 2);
  EXPECT_EQ(Read(Saver::kTransformers, "fp16"), 2);
  EXPECT_EQ(Read(Saver::kDiffusers), 1);
  EXPECT_EQ(Read(Saver::kTransformers, "bf16"), 1);
  for (const std::string stem : {"diffusion_pytorch_model", "model"}) {
    WriteTensors(stem + ".fp16-00001-of-00001.safetensors", {"a"}, 3);
    Write(stem + ".safetensors.index.fp16.json",
          R"({"weight_map": {"a": ")" + stem + R"(.fp16-00001-of-00001.safetensors"}})");
  }
  EXPECT_EQ(Read(Saver::kDiffusers, "fp16"), 3);
  EXPECT_EQ(Read(Saver::kTransformers, "fp16"), 2);
  std::filesystem::remove(dir_ / "model.fp16.safetensors");
  EXPECT_EQ(Read(Saver::kTransformers, "fp16"), 3);
  EXPECT_EQ(Read(Saver::kTransformers), 1);
}

TEST_F(Folder, TheOlderFormOfShardedVariants) {
  WriteTensors("diffusion_pytorch_model-00001-of-00001.fp16.safetensors", {"a"}, 2);
  Write("diffusion_pytorch_model.safetensors.fp16.index.json",
        R"({"weight_map": {"a": "diffusion_pytorch_model-00001-of-00001.fp16.safetensors"}})");
  EXPECT_EQ(Read(Saver::kDiffusers, "fp16"), 2);
  EXPECT_THAT(Refusal(), HasSubstr("--variant fp16"));
}

TEST_F(Folder, TellsVariantsByTheirFiles) {
  for (const char* name : {"diffusion_pytorch_model.fp16.safetensors",
                           "diffusion_pytorch_model.bf16-00001-of-00002.safetensors",
                           "diffusion_pytorch_model.safetensors.index.ema.json",
                           "diffusion_pytorch_model-00001-of-00002.old.safetensors",
                           "diffusion_pytorch_model.safetensors.older.index.json",
                           "diffusion_pytorch_model.non_ema.safetensors", kFile, kIndex,
                           "config.json", "diffusion_pytorch_model-00001-of-00002.safetensors",
                           "model.other.safetensors", "diffusion_pytorch_model.fp16.bin"}) {
    Write(name, "");
  }
  EXPECT_THAT(VariantsIn({dir_.string()}),
              ElementsAre("bf16", "ema", "fp16", "non_ema", "old", "older"));
  EXPECT_THAT(VariantsIn({dir_.string() + "/gone"}), ElementsAre());
}

TEST_F(Folder, WhatLiesThereIsNamedWithTheWayOut) {
  EXPECT_THAT(Refusal(), HasSubstr("holds no diffusion_pytorch_model.safetensors, nor an index"));
  Write("model.safetensors", "x");
  EXPECT_THAT(Refusal(),
              AllOf(HasSubstr("but model.safetensors"), HasSubstr("diffusers names it")));
  for (const auto& [name, said] : {std::pair{"diffusion_pytorch_model.bin", "pickle"},
                                   {"diffusion_pytorch_model.fp16.bin", "pickle"},
                                   {"diffusion_pytorch_model.pt", "pickle"},
                                   {"a.ckpt", "pickle"},
                                   {"a.gguf", "GGUF"},
                                   {"diffusion_flax_model.msgpack", "another framework"}}) {
    Write(name, "x");
    EXPECT_THAT(Refusal(),
                AllOf(HasSubstr(std::string("but ") + name), HasSubstr(said), HasSubstr("save")));
    std::filesystem::remove(dir_ / name);
  }
  std::filesystem::create_symlink("../../blobs/gone", dir_ / kFile);
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("link to ../../blobs/gone"), HasSubstr("not complete")));
  std::filesystem::remove(dir_ / kFile);
  Write("diffusion_pytorch_model.fp16.safetensors", "x");
  Write("diffusion_pytorch_model.bf16-00001-of-00002.safetensors", "x");
  EXPECT_THAT(Refusal(), HasSubstr("choose it with --variant bf16 or fp16"));
}

// What comes after it in the order may be another generation.
TEST_F(Folder, ALinkToNowhereIsNotPassedOver) {
  const std::string stem = "diffusion_pytorch_model";
  WriteTensors(kFile, {"a"}, 1);
  WriteTensors("model.safetensors", {"a"}, 1);
  const auto expect_refused = [&](const std::string& name, Saver saver, const char* variant) {
    std::filesystem::create_symlink("../../blobs/gone", dir_ / name);
    EXPECT_THAT(Refusal(saver, variant), AllOf(HasSubstr(name), HasSubstr("blobs/gone"),
                                               HasSubstr("not complete; bring that file")));
    std::filesystem::remove(dir_ / name);
  };
  expect_refused(kIndex, Saver::kDiffusers, "");
  expect_refused(stem + ".fp16.safetensors", Saver::kDiffusers, "fp16");
  expect_refused(stem + ".safetensors.index.fp16.json", Saver::kDiffusers, "fp16");
  expect_refused(stem + ".safetensors.fp16.index.json", Saver::kDiffusers, "fp16");
  expect_refused("model.fp16.safetensors", Saver::kTransformers, "fp16");
  // Behind what is read it does not matter, as for the reference.
  std::filesystem::create_symlink("../../blobs/gone", dir_ / "model.safetensors.index.json");
  EXPECT_EQ(Read(Saver::kTransformers), 1);
}

TEST_F(Folder, ShardsOfAVariantWithoutTheirIndexAreNotLeftForThePlainFile) {
  WriteTensors(kFile, {"a"}, 1);
  WriteTensors("model.safetensors", {"a"}, 1);
  for (const char* name : {"diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
                           "diffusion_pytorch_model-00001-of-00002.fp16.safetensors"}) {
    WriteTensors(name, {"a"}, 2);
    EXPECT_THAT(Refusal(Saver::kDiffusers, "fp16"),
                AllOf(HasSubstr(name), HasSubstr("; bring the index")));
    EXPECT_EQ(Read(Saver::kDiffusers, "bf16"), 1);
    std::filesystem::remove(dir_ / name);
  }
  WriteTensors("model.fp16-00002-of-00002.safetensors", {"a"}, 2);
  EXPECT_THAT(Refusal(Saver::kTransformers, "fp16"), HasSubstr("; bring the index"));
  EXPECT_EQ(Read(Saver::kTransformers), 1);
}

// Opening it would wait for a writer.
TEST_F(Folder, APipeIsNoShard) {
  ASSERT_EQ(mkfifo((dir_ / "one.safetensors").c_str(), 0600), 0);
  Write(kIndex, R"({"weight_map": {"a": "one.safetensors"}})");
  EXPECT_THAT(Refusal(), AllOf(HasSubstr("one.safetensors"), HasSubstr("1 of 1 shards")));
}

// The plain ones beside it may be another generation.
TEST_F(Folder, AVariantThatIsPickledIsNotLeftForThePlainFile) {
  WriteTensors("model.safetensors", {"a"}, 1);
  Write("pytorch_model.fp16.bin", "x");
  EXPECT_THAT(Refusal(Saver::kTransformers, "fp16"),
              AllOf(HasSubstr("pytorch_model.fp16.bin"), HasSubstr("pickle")));
  EXPECT_EQ(Read(Saver::kTransformers), 1);
}

TEST_F(Folder, APrefixBeforeAllNamesIsOff) {
  for (const std::string prefix :
       {"_orig_mod.", "module.", "model.diffusion_model.", "module._orig_mod.", "transformer."}) {
    WriteTensors(kFile, {prefix + "proj_out.weight", prefix + "proj_out.bias", prefix + "a"}, 7);
    const TensorFolder folder = Open(Saver::kDiffusers, "", "proj_out.weight");
    EXPECT_NE(folder.Find("proj_out.weight"), nullptr) << prefix;
    EXPECT_NE(folder.Find("a"), nullptr) << prefix;
    EXPECT_EQ(folder.tensors().size(), 3u);
  }
  WriteTensors(kFile, {"module.proj_out.weight", "proj_out.bias"});
  const TensorFolder mixed = Open(Saver::kDiffusers, "", "proj_out.weight");
  EXPECT_THAT([&] { mixed.At("proj_out.weight"); },
              ThrowsMessage<std::invalid_argument>(
                  AllOf(HasSubstr("proj_out.weight is missing"),
                        HasSubstr("there is module.proj_out.weight, but not every tensor"),
                        HasSubstr("; take it off all names"))));
  // A name that has the known one inside is none of it.
  WriteTensors(kFile, {"x.proj_out.weight", "proj_out.weight"});
  EXPECT_NE(Open(Saver::kDiffusers, "", "proj_out.weight").Find("x.proj_out.weight"), nullptr);
}

TEST_F(Folder, TensorsOfOtherKindsOfModelAreNamed) {
  const std::string layer = "transformer_blocks.0.attn1.to_q.";
  for (const std::string name :
       {"base_layer.weight", "lora_A.default.weight", "lora_B.weight", "lora_A.weight",
        "lora.down.weight", "lora_magnitude_vector.default.weight", "processor.lora_up.weight"}) {
    WriteTensors(kFile, {"proj_out.weight", layer + name});
    EXPECT_THAT(Refusal(), AllOf(HasSubstr(layer + name), HasSubstr("fuse_lora()"))) << name;
  }
  for (const std::string name :
       {"weight.absmax", "weight.quant_state.bitsandbytes__nf4", "SCB", "weight_scale",
        "scale_weight", "weight_scale_inv", "qweight", "weight._data", "weight_format"}) {
    WriteTensors(kFile, {"proj_out.weight", layer + name});
    EXPECT_THAT(Refusal(), AllOf(HasSubstr(layer + name), HasSubstr("quantised"))) << name;
  }
  WriteTensors(kFile, {"scaled_fp8", "proj_out.weight"});
  EXPECT_THAT(Refusal(), HasSubstr("quantised"));
  WriteTensors(kFile, {"proj_out.weight", "explorator.weight", "scale.weight", "weight_scales.x"});
  EXPECT_EQ(Refusal(), "");
}

TEST_F(Folder, RefusesDamagedIndexes) {
  WriteTensors("one.safetensors", {"a"});
  Write(kIndex, R"({"weight_map": {"a": "../one.safetensors"}})");
  EXPECT_THAT(Refusal(), HasSubstr("same folder"));
  Write(kIndex, R"({"weight_map": {"a": 1}})");
  EXPECT_THAT(Refusal(), HasSubstr("file name"));
  Write(kIndex, R"({"weight_map": []})");
  EXPECT_THAT(Refusal(), HasSubstr("weight_map"));
  Write(kIndex, R"({"weight_map": {"a": "gone.safetensors"}})");
  EXPECT_THAT(Refusal(), HasSubstr("gone.safetensors"));
  ASSERT_EQ(mkfifo((dir_ / "gone.safetensors").c_str(), 0600), 0);  // nobody would write to it
  EXPECT_THAT(Refusal(), HasSubstr("gone.safetensors"));
  Write(kIndex, R"({"weight_map": {"missing": "one.safetensors"}})");
  EXPECT_EQ(Open().Find("missing"), nullptr);
}

TEST_F(Folder, RefusesMissingEmptyAndTruncatedFiles) {
  Write(kFile, "");
  EXPECT_THAT(Refusal(), HasSubstr("no header"));
  WriteTensors(kFile, std::vector<std::string>(1, std::string(300, 'n')));
  std::filesystem::resize_file(dir_ / kFile, 300);
  EXPECT_THAT(Refusal(), HasSubstr("a header of"));
  std::filesystem::remove(dir_ / kFile);
  std::filesystem::create_directory(dir_ / kFile);
  EXPECT_THAT(Refusal(), HasSubstr(kFile));
}

TEST_F(Folder, AFileCutOffWhileItIsOpenIsAnErrorThatNamesIt) {
  WriteTensors(kFile, {"a", "b", "c"});
  const SafetensorsFile file((dir_ / kFile).string());
  const TensorEntry& entry = file.tensors().at("c");
  std::vector<std::byte> bytes(entry.bytes);
  file.Read(entry.offset, bytes);
  EXPECT_EQ(bytes.back(), std::byte{1});
  std::filesystem::resize_file(dir_ / kFile, entry.offset);
  EXPECT_THAT([&] { file.Read(entry.offset, bytes); },
              ThrowsMessage<ReadError>(AllOf(HasSubstr(kFile), HasSubstr("now ends at byte"))));
  EXPECT_THAT(Refusal(), HasSubstr("outside"));  // it stays cut off: a fresh start says so
}

TEST_F(Folder, AFolderThatIsNoCheckpointIsNamedForWhatItIs) {
  EXPECT_EQ(WhatFolderIs(dir_.string()), "");
  Write("cogvideox.safetensors", "x");
  EXPECT_THAT(WhatFolderIs(dir_.string()), HasSubstr("from_single_file"));
  Write("cogvideox.gguf", "x");
  EXPECT_THAT(WhatFolderIs(dir_.string()), HasSubstr("cogvideox.gguf, GGUF"));
  std::filesystem::create_directories(dir_ / "inner/transformer");
  Write("inner/model_index.json", "{}");
  EXPECT_EQ(WhatFolderIs(dir_.string()), "; inner has it");
  EXPECT_THAT(WhatFolderIs((dir_ / "inner/transformer").string()), HasSubstr("one level up"));
  EXPECT_THAT(WhatFolderIs((dir_ / "inner/transformer/").string()), HasSubstr("one level up"));
}

}  // namespace
}  // namespace cogwheel
