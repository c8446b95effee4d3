#pragma once

// How a rank process ends, for its launcher and for operators (sysexits numbers where they fit).
namespace cogwheel {

inline constexpr int kExitLeft = 0;        // asked to leave: drained, or the frontend shut us down
inline constexpr int kExitRefused = 2;     // settings, mesh or checkpoint cannot work: no restart
inline constexpr int kExitInternal = 70;   // a bug, or a job failed among its collectives
inline constexpr int kExitGroupLost = 75;  // a peer or the frontend is gone: restart and form anew

}  // namespace cogwheel
