#include "server/job/job_name.h"

#include <random>

namespace cogwheel {
namespace {

constexpr char kAlphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";  // Crockford's base 32
constexpr int kCharacters = 26;
constexpr int kBitsPerCharacter = 5;

// 48 + 80 bits, from the last character to the first.
std::string Encode(uint64_t milliseconds, uint64_t random_high, uint64_t random_low) {
  __extension__ unsigned __int128 bits = milliseconds;
  bits = bits << 16 | random_high;
  bits = bits << 64 | random_low;
  std::string text(kCharacters, '0');
  for (int i = kCharacters - 1; i >= 0; --i) {
    text[i] = kAlphabet[static_cast<unsigned>(bits & 31)];
    bits >>= kBitsPerCharacter;
  }
  return text;
}

}  // namespace

std::string JobNamer::Next(std::chrono::system_clock::time_point now) {
  const int64_t milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  MutexLock lock(mutex_);
  if (milliseconds > milliseconds_) {
    std::random_device random;
    milliseconds_ = milliseconds;
    random_high_ = random() & 0x7FFF;  // the top bit stays free: adding 1 never runs over
    random_low_ = uint64_t{random()} << 32 | random();
  } else if (++random_low_ == 0) {
    ++random_high_;
  }
  return "jobs/" + Encode(static_cast<uint64_t>(milliseconds_), random_high_, random_low_);
}

}  // namespace cogwheel
