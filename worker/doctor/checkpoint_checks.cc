#include "worker/doctor/checkpoint_checks.h"

#include <filesystem>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "worker/doctor/file_trouble.h"
#include "worker/families/dtype_name.h"
#include "worker/rank/guard.h"

namespace cogwheel {
namespace {

constexpr char kCheck[] = "checkpoint";

// How a configuration's value and a tensor's dtype are refused: what the family would take is no
// way out.
constexpr char kOtherValue[] = "; expected ", kOtherDtype[] = " has dtype ";
constexpr char kNotPermitted[] = "Permission denied";  // the system's words

std::string SizeText(const ModelDescription& model) {
  return absl::StrCat(model.default_frames, "x", model.default_height, "x", model.default_width);
}

// For a refusal that says no way out itself.
std::string WayOut(const std::string& model_dir) {
  std::error_code error;
  if (!std::filesystem::is_directory(model_dir, error)) {
    return "name a diffusers folder, or ORG/NAME that lies in the hub's local cache";
  }
  const std::string fetch = FetchCommand(model_dir);
  const std::string unfinished = UnfinishedDownload(model_dir);
  if (unfinished.empty()) return "fetch it again, whole: " + fetch;
  return absl::StrCat("finish the download of which ", unfinished, " is left: ", fetch);
}

}  // namespace

Finding CheckpointFault(const std::string& model_dir, const std::string& refusal) {
  const std::string named = NamedFile(model_dir, refusal);
  if (!named.empty()) {
    if (const auto trouble = TroubleOf(named, FetchCommand(model_dir))) {
      return {FindingLevel::kFault, kCheck, trouble->what, trouble->way_out};
    }
  }
  if (absl::StrContains(refusal, kNotPermitted)) {
    return {FindingLevel::kFault, kCheck, refusal,
            absl::StrCat("chmod -R a+rX ", model_dir, ", or run as its owner")};
  }
  if (absl::StrContains(refusal, kOtherDtype)) {
    return {FindingLevel::kFault, kCheck, refusal,
            "save it again in fp32, bf16 or fp16 (pipeline.to(torch.bfloat16).save_pretrained)"};
  }
  if (absl::StrContains(refusal, kOtherValue)) {
    return {FindingLevel::kFault, kCheck, refusal,
            "take a checkpoint that diffusers' CogVideoXPipeline loads, or put that value right"};
  }
  return FaultOf(kCheck, refusal, WayOut(model_dir));
}

CheckpointView CheckCheckpoint(const Family& family, const ModelSource& source) {
  ModelDescription model;
  const absl::Status described = Guard([&] { model = family.Describe(source); });
  if (absl::IsUnavailable(described)) {
    return {{{FindingLevel::kFault, kCheck, std::string(described.message()),
              "the disk fails: see dmesg, then try again or copy the checkpoint elsewhere"}},
            std::nullopt};
  }
  if (!described.ok()) {
    return {{CheckpointFault(source.model_dir, std::string(described.message()))}, std::nullopt};
  }
  return {{{FindingLevel::kOk, kCheck,
            absl::StrCat(model.name,
                         ": files, shapes, dtypes and tokenizer are as they should be; "
                         "stored in ",
                         DtypeName(model.stored_dtype), ", makes ", SizeText(model), " by default"),
            ""}},
          model};
}

}  // namespace cogwheel
