#pragma once

// The protocol of rank_control.proto: what both of its ends must agree on. A rank says which it
// speaks and which is the oldest that it still speaks, so that a later one can be spoken to in
// ours.
namespace cogwheel {

inline constexpr int kProtocol = 2;
inline constexpr int kOldestProtocol = kProtocol - 1;  // n and n - 1 work both ways

}  // namespace cogwheel
