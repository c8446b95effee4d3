#include <algorithm>
#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/checkpoint_builder.h"
#include "worker/families/cogvideox/cogvideox_family.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

nlohmann::json ReadJson(const fs::path& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

ModelDescription DescribeModel(const std::string& model_dir, const std::string& model_name) {
  return CogVideoXFamily()->Describe({.model_dir = model_dir, .model_name = model_name});
}

// A golden checkpoint whose JSON files a test edits.
class DescribeModelTest : public testing::Test {
 protected:
  void Build(const std::string& name) { BuildCheckpoint(name, folder_.path()); }
  void Edit(const std::string& file, const nlohmann::json& patch) {
    const fs::path path = fs::path(folder_.path()) / file;
    nlohmann::json content = fs::exists(path) ? ReadJson(path) : nlohmann::json::object();
    content.merge_patch(patch);
    std::ofstream(path) << content.dump();
  }
  std::string DigestOf() { return DescribeModel(folder_.path(), "").digest; }
  std::string ErrorOf() {
    try {
      DescribeModel(folder_.path(), "");
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }
  TemporaryFolder folder_;
};

TEST_F(DescribeModelTest, ShippedModel) {
  const ModelDescription model =
      DescribeModel(std::string(COGWHEEL_SOURCE_DIR) + "/models/shapes", "");
  EXPECT_EQ(model.name, "shapes");
  EXPECT_EQ(model.digest.size(), 64);
  EXPECT_EQ(model.default_frames, 17);
  EXPECT_EQ(model.default_height, 96);
  EXPECT_EQ(model.default_width, 128);
  EXPECT_EQ(model.default_fps, 8);
  EXPECT_EQ(model.default_scheduler, SchedulerKind::kDdim);
  EXPECT_EQ(model.frames_multiple, 8);
  EXPECT_EQ(model.max_frames, 17);
  EXPECT_EQ(model.max_area, 96 * 128);
  EXPECT_EQ(model.description, "one coloured shape that moves over a plain background");
  EXPECT_GE(model.sample_prompts.size(), 8);
  EXPECT_EQ(std::ranges::count(model.vocabulary, "triangle"), 1);
  EXPECT_FALSE(model.image_required);
  EXPECT_FALSE(model.fixed_shape);
}

TEST_F(DescribeModelTest, DefaultsWithoutOwnFile) {
  Build("t2v-sincos");
  const nlohmann::json config = ReadJson(fs::path(folder_.path()) / "transformer/config.json");
  const ModelDescription model = DescribeModel(folder_.path() + "/", "");
  EXPECT_EQ(model.name, fs::path(folder_.path()).filename());
  EXPECT_EQ(model.default_steps, 50);
  EXPECT_EQ(model.default_guidance_scale, 6);
  EXPECT_EQ(model.default_fps, 8);
  EXPECT_EQ(model.default_height, 8 * config["sample_height"].get<int>());
  EXPECT_EQ(model.default_width, 8 * config["sample_width"].get<int>());
  EXPECT_EQ(model.max_steps, 200);
  EXPECT_EQ(model.max_text_tokens, config["max_text_seq_length"]);
  EXPECT_EQ(DescribeModel(folder_.path(), "other").name, "other");
}

// A snapshot of the hub's cache has a long path and its repository's name; what can be no name is
// refused, unless there is another one.
TEST_F(DescribeModelTest, NamesOfPathsThatPeopleHave) {
  const fs::path whole = fs::path(folder_.path()) / "whole";
  BuildCheckpoint("t2v-rope", whole);
  const auto name_of = [&](const std::string& below) {
    const fs::path link = fs::path(folder_.path()) / below;
    fs::create_directories(link.parent_path());
    fs::create_directory_symlink(whole, link);
    return DescribeModel(link, "").name;
  };
  EXPECT_EQ(name_of("models--zai-org--CogVideoX-5b/snapshots/" + std::string(40, 'a')),
            "CogVideoX-5b");
  EXPECT_EQ(name_of("my link"), "my link");
  EXPECT_EQ(name_of(std::string(200, 'n')), std::string(128, 'n'));
  // Not cut inside a character.
  std::string accents;
  for (int i = 0; i < 100; ++i) accents += "\u00e9";
  EXPECT_EQ(name_of("x" + accents), "x" + accents.substr(0, 126));
  for (const std::string wrong : {"\xff\xfe", "two\nlines", "\x7f", "next\u0085line"}) {
    EXPECT_THROW(name_of(wrong), std::invalid_argument);
    EXPECT_EQ(DescribeModel(fs::path(folder_.path()) / wrong, "given").name, "given");
  }
  EXPECT_EQ(name_of("\xff/plain"), "plain");
  std::ofstream(whole / "cogwheel.json") << R"({"name": "its own"})";
  EXPECT_EQ(DescribeModel(fs::path(folder_.path()) / "\xff\xfe", "").name, "its own");
}

TEST_F(DescribeModelTest, Version15) {
  Build("t2v-rope15");
  Edit("transformer/config.json",
       {{"sample_height", 300}, {"sample_width", 300}, {"sample_frames", 81}});
  const ModelDescription model = DescribeModel(folder_.path(), "");
  EXPECT_EQ(model.frames_multiple, 16);
  EXPECT_EQ(model.max_frames, 161);
  EXPECT_EQ(model.default_frames, 81);
  EXPECT_EQ(model.default_height, 768);
  EXPECT_EQ(model.default_width, 1360);
  EXPECT_EQ(model.default_fps, 16);
  EXPECT_EQ(model.max_height, 2400);
  EXPECT_EQ(model.max_area, 2400 * 2400);
}

TEST_F(DescribeModelTest, LearnedTableAllowsItsOwnSizeOnly) {
  Build("i2v-learned");
  Edit("cogwheel.json",
       {{"defaults", {{"height", 16}, {"steps", 7}}}, {"limits", {{"max_steps", 9}}}});
  const ModelDescription model = DescribeModel(folder_.path(), "");
  EXPECT_TRUE(model.fixed_shape);
  EXPECT_TRUE(model.image_required);
  EXPECT_EQ(model.default_height, 48);
  EXPECT_EQ(model.max_height, 48);
  EXPECT_EQ(model.default_steps, 7);
  EXPECT_EQ(model.max_steps, 9);
}

// Else a job that leaves a field out would be refused for it.
TEST_F(DescribeModelTest, DefaultsAreWithinNarrowedLimits) {
  Build("t2v-rope");
  Edit("cogwheel.json",
       {{"defaults", {{"width", 56}}},
        {"limits", {{"max_steps", 20}, {"max_frames", 8}, {"max_height", 40}, {"max_width", 50}}}});
  const ModelDescription model = DescribeModel(folder_.path(), "");
  EXPECT_EQ(model.default_steps, 20);
  EXPECT_EQ(model.default_frames, 1);   // 8 k + 1
  EXPECT_EQ(model.default_height, 32);  // 16 k
  EXPECT_EQ(model.default_width, 48);
}

TEST_F(DescribeModelTest, DigestNamesTheModel) {
  Build("t2v-rope");
  const std::string digest = DescribeModel(folder_.path(), "").digest;
  EXPECT_EQ(DescribeModel(folder_.path(), "other name").digest, digest);
  Edit("scheduler/scheduler_config.json", {{"snr_shift_scale", 2.0}});
  EXPECT_NE(DescribeModel(folder_.path(), "").digest, digest);
}

// Of cogwheel.json what changes a job: not name, texts or preview, not the spelling.
TEST_F(DescribeModelTest, DigestTakesOfItsOwnFileWhatCounts) {
  Build("t2v-rope");
  const std::string digest = DigestOf();
  Edit("cogwheel.json", {{"name", "a name"},
                         {"description", "a shape"},
                         {"sample_prompts", {"a circle"}},
                         {"vocabulary", {"a", "circle"}}});
  EXPECT_EQ(DigestOf(), digest);
  Edit("cogwheel.json", {{"defaults", {{"steps", 7}}}});
  const std::string with_steps = DigestOf();
  EXPECT_NE(with_steps, digest);
  std::ofstream(folder_.path() + "/cogwheel.json") << "{ \"defaults\" :\n{\"steps\": 7} }";
  EXPECT_EQ(DigestOf(), with_steps);
  Edit("cogwheel.json", {{"limits", {{"max_steps", 9}}}});
  EXPECT_NE(DigestOf(), with_steps);
}

// The first, middle and last 64 KiB of a tensor of four times that; all of a small one.
TEST_F(DescribeModelTest, DigestSamplesEachTensor) {
  Build("t2v-rope");
  const std::string path = folder_.path() + "/transformer/diffusion_pytorch_model.safetensors";
  constexpr int64_t kSample = 64 * 1024;
  const auto set = [&](int64_t at, int value) {
    EditTensors(path, [&](auto& tensors) {
      if (!tensors.contains("extra")) {
        tensors["extra"] = at::zeros({4 * kSample}, at::TensorOptions(at::kByte));
      }
      tensors.at("extra")[at] = value;
    });
    return DigestOf();
  };
  const std::string digest = set(0, 0);
  for (const int64_t at : {int64_t{0}, kSample - 1, kSample * 3 / 2, kSample * 5 / 2 - 1,
                           3 * kSample, 4 * kSample - 1}) {
    EXPECT_NE(set(at, 1), digest) << at;
    EXPECT_EQ(set(at, 0), digest) << at;
  }
  EXPECT_EQ(set(kSample + 1, 1), digest);  // what no sample covers
  EditTensors(path, [](auto& tensors) { tensors.at("proj_out.bias")[1].add_(0.5); });
  EXPECT_NE(DigestOf(), digest);
  EditTensors(path, [](auto& tensors) {
    tensors.at("proj_out.bias")[1].sub_(0.5);
    tensors["extra"] = tensors.at("extra").view({2, 2 * kSample});
  });
  EXPECT_NE(DigestOf(), digest);  // the shape
}

TEST_F(DescribeModelTest, DigestIsThatOfTheTensorsNotOfTheirFiles) {
  Build("t2v-rope");
  const std::string digest = DigestOf();
  const fs::path transformer = fs::path(folder_.path()) / "transformer";
  const fs::path file = transformer / "diffusion_pytorch_model.safetensors";
  nlohmann::json map;
  for (const int shard : {1, 2}) {
    const std::string name = "shard-" + std::to_string(shard) + ".safetensors";
    fs::copy_file(file, transformer / name);
    EditTensors(transformer / name, [&](auto& tensors) {
      std::erase_if(tensors, [&](const auto& tensor) {
        return (std::hash<std::string>{}(tensor.first) % 2 == 0) == (shard == 1);
      });
      for (const auto& [tensor, values] : tensors) map[tensor] = name;
    });
  }
  fs::remove(file);
  std::ofstream(file.string() + ".index.json") << nlohmann::json{{"weight_map", map}}.dump();
  EXPECT_EQ(DigestOf(), digest);
  fs::create_directory(fs::path(folder_.path()) / "adapters");
  std::ofstream(folder_.path() + "/adapters/a.safetensors") << "x";
  std::ofstream(folder_.path() + "/README.md") << "x";
  EXPECT_EQ(DigestOf(), digest);
}

TEST_F(DescribeModelTest, AVariantIsChosenByItsNameOrByTheCheckpoint) {
  Build("t2v-rope");
  const std::string digest = DigestOf();
  const fs::path transformer = fs::path(folder_.path()) / "transformer";
  fs::rename(transformer / "diffusion_pytorch_model.safetensors",
             transformer / "diffusion_pytorch_model.fp16.safetensors");
  EXPECT_NE(ErrorOf().find("diffusion_pytorch_model.fp16.safetensors; choose it with --variant "
                           "fp16"),
            std::string::npos)
      << ErrorOf();
  const auto describe = [&](const std::string& variant) {
    return CogVideoXFamily()->Describe({.model_dir = folder_.path(), .variant = variant});
  };
  EXPECT_EQ(describe("fp16").digest, digest);  // VAE and text encoder: the plain ones
  Edit("cogwheel.json", {{"variant", "fp16"}});
  EXPECT_EQ(DigestOf(), digest);
  fs::copy_file(transformer / "diffusion_pytorch_model.fp16.safetensors",
                transformer / "diffusion_pytorch_model.safetensors");
  EditTensors(transformer / "diffusion_pytorch_model.safetensors",
              [](auto& tensors) { tensors.at("proj_out.bias").add_(1); });
  EXPECT_EQ(DigestOf(), digest);
  try {
    describe("bf16");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("there is fp16"), std::string::npos) << error.what();
  }
}

TEST_F(DescribeModelTest, QuantisedAndUnfusedCheckpointsAreNamed) {
  Build("t2v-rope");
  Edit("text_encoder/config.json", {{"quantization_config", {{"quant_method", "torchao"}}}});
  EXPECT_NE(ErrorOf().find("quant_method \"torchao\""), std::string::npos) << ErrorOf();
  Edit("text_encoder/config.json", {{"quantization_config", nullptr}});
  EditTensors(folder_.path() + "/vae/diffusion_pytorch_model.safetensors", [](auto& tensors) {
    std::map<std::string, at::Tensor> prefixed;
    for (const auto& [name, values] : tensors) prefixed["module." + name] = values;
    tensors = prefixed;
  });
  EXPECT_EQ(ErrorOf(), "");
  EditTensors(folder_.path() + "/transformer/diffusion_pytorch_model.safetensors",
              [](auto& tensors) {
                auto node = tensors.extract("transformer_blocks.0.attn1.to_q.weight");
                node.key() = "transformer_blocks.0.attn1.to_q.base_layer.weight";
                tensors.insert(std::move(node));
              });
  EXPECT_NE(ErrorOf().find("to_q.base_layer.weight belongs to a LoRA"), std::string::npos)
      << ErrorOf();
}

// Even where spiece.model is the one that is read.
TEST_F(DescribeModelTest, DigestCoversTokenizerJson) {
  Build("t2v-rope");
  const fs::path path = fs::path(folder_.path()) / "tokenizer/tokenizer.json";
  std::ofstream(path) << "{}";
  const std::string digest = DescribeModel(folder_.path(), "").digest;
  std::ofstream(path) << "{ }";
  EXPECT_NE(DescribeModel(folder_.path(), "").digest, digest);
}

// What a rank could not load is told before anything is started, by file and tensor.
TEST_F(DescribeModelTest, NamesWhatIsDamaged) {
  EXPECT_NE(ErrorOf(), "");
  Build("t2v-rope");
  EXPECT_EQ(ErrorOf(), "");
  const fs::path vae = fs::path(folder_.path()) / "vae/diffusion_pytorch_model.safetensors";
  fs::resize_file(vae, fs::file_size(vae) - 1);
  EXPECT_NE(ErrorOf().find("vae/diffusion_pytorch_model.safetensors"), std::string::npos)
      << ErrorOf();
  fs::remove(vae);
  EXPECT_NE(ErrorOf().find("vae"), std::string::npos) << ErrorOf();
}

// diffusers saves the learned table as F64 whatever the rest is; trainers leave counters behind.
TEST_F(DescribeModelTest, ATableInF64AndTensorsThatNobodyNeeds) {
  Build("i2v-learned");
  const std::string path = folder_.path() + "/transformer/diffusion_pytorch_model.safetensors";
  EditTensors(path, [](auto& tensors) {
    at::Tensor& table = tensors.at("patch_embed.pos_embedding");
    table = table.to(at::kDouble);
    tensors["num_updates"] = at::ones({}, at::TensorOptions(at::kLong));
    tensors["mask"] = at::ones({3}, at::TensorOptions(at::kByte));
  });
  EXPECT_EQ(ErrorOf(), "");
  EditTensors(path, [](auto& tensors) {
    tensors.at("proj_out.bias") = tensors.at("proj_out.bias").to(at::kLong);
  });
  EXPECT_NE(ErrorOf().find("tensor proj_out.bias has dtype I64"), std::string::npos) << ErrorOf();
}

TEST_F(DescribeModelTest, NamesATensorOfAnotherShape) {
  Build("t2v-rope");
  Edit("text_encoder/config.json", {{"d_ff", 48}});
  EXPECT_NE(ErrorOf().find("DenseReluDense"), std::string::npos) << ErrorOf();
}

}  // namespace
}  // namespace cogwheel
