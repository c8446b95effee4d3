#pragma once

// How a rank process ends, for its launcher and for operators (sysexits numbers where they fit).
namespace cogwheel {

inline constexpr int kExitLeft = 0;     // asked to leave: drained, or the frontend shut us down
inline constexpr int kExitRefused = 2;  // settings, mesh or checkpoint cannot work: no restart
// The frontend was not there, which the rank has said, or is gone: restart and dial again; no
// failure of ours.
inline constexpr int kExitFrontendMissed = 68;
inline constexpr int kExitFrontendLost = 69;
inline constexpr int kExitInternal = 70;  // a bug, a hang, or a job failed among its collectives
// The epoch is over, or the disk failed while the checkpoint was read: restart and form anew.
inline constexpr int kExitGroupLost = 75;

}  // namespace cogwheel
