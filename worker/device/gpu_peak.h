#pragma once

#include <optional>
#include <string_view>

// What a GPU could do at best. Pure, no torch.
namespace cogwheel {

// Floating-point operations a second by the maker's data sheet: of dense bf16 and fp16 matrix
// products (`half`), or of fp32 without tensor cores, as our fp32 is. Nothing for a device that is
// not in the table; slices of a device (MIG) are not. device_name: as the driver says it.
std::optional<double> PeakOperationsPerSecond(std::string_view device_name, bool half);

}  // namespace cogwheel
