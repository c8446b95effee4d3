#pragma once

#include "worker/families/model_description.h"

namespace cogwheel {

// As people write it: "fp32", "bf16", "fp16".
inline const char* DtypeName(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBf16:
      return "bf16";
    case Dtype::kFp16:
      return "fp16";
    case Dtype::kFp32:
      break;
  }
  return "fp32";
}

}  // namespace cogwheel
