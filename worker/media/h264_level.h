#pragma once

#include <cstdint>
#include <span>

// The level that an H.264 stream claims to need. OpenH264 names 5.0 for any clip whose bit rate is
// open, and players turn away what is above theirs.
namespace cogwheel {

// level_idc, ten times the level's number: the lowest whose frames and macroblocks a second
// (H.264, table A-1) hold the clip.
int LevelFor(int width, int height, int fps);

// Writes it into each sequence parameter set of a byte stream (H.264, annex B).
void SetLevel(std::span<uint8_t> stream, int level_idc);

}  // namespace cogwheel
