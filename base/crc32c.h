#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

// CRC-32C (Castagnoli), as iSCSI and most stores use it: against bytes that a disk, a file server
// or memory changed, not against an adversary. Above 5 GB/s a core where the processor has an
// instruction for it.
namespace cogwheel {

uint32_t Crc32c(std::span<const std::byte> bytes);

// Of `front` followed by `back_bytes` bytes that have `back`.
uint32_t JoinCrc32c(uint32_t front, uint32_t back, uint64_t back_bytes);

}  // namespace cogwheel
