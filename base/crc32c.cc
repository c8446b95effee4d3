#include "base/crc32c.h"

#include <array>
#include <cstring>

namespace cogwheel {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // bits reversed

// [k][b]: what byte b does to the sum when k more bytes follow it.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = sum;
  }
  for (size_t k = 1; k < tables.size(); ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

uint64_t Word(const std::byte* at) {
  uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

uint32_t ByTables(uint32_t sum, std::span<const std::byte> bytes) {
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = Word(bytes.data() + i) ^ sum;
    sum = 0;
    for (int k = 0; k < 8; ++k) sum ^= kTables[7 - k][word >> (8 * k) & 0xFF];
  }
  for (; i < bytes.size(); ++i) {
    sum = (sum >> 8) ^ kTables[0][(sum ^ static_cast<uint32_t>(bytes[i])) & 0xFF];
  }
  return sum;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t ByInstruction(uint32_t sum,
                                                         std::span<const std::byte> bytes) {
  uint64_t wide = sum;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    wide = __builtin_ia32_crc32di(wide, Word(bytes.data() + i));
  }
  return ByTables(static_cast<uint32_t>(wide), bytes.subspan(i));
}

bool HasInstruction() { return __builtin_cpu_supports("sse4.2"); }
#else
uint32_t ByInstruction(uint32_t sum, std::span<const std::byte> bytes) {
  return ByTables(sum, bytes);
}

bool HasInstruction() { return false; }
#endif

// Zero bytes act on a sum as a matrix over GF(2), column i for bit i.
using Matrix = std::array<uint32_t, 32>;

uint32_t Times(const Matrix& matrix, uint32_t sum) {
  uint32_t product = 0;
  for (size_t i = 0; sum != 0; ++i, sum >>= 1) {
    if ((sum & 1) != 0) product ^= matrix[i];
  }
  return product;
}

Matrix Squared(const Matrix& matrix) {
  Matrix square{};
  for (size_t i = 0; i < matrix.size(); ++i) square[i] = Times(matrix, matrix[i]);
  return square;
}

Matrix OneZeroByte() {
  Matrix matrix{};
  for (size_t i = 0; i < matrix.size(); ++i) {
    const uint32_t sum = uint32_t{1} << i;
    matrix[i] = (sum >> 8) ^ kTables[0][sum & 0xFF];
  }
  return matrix;
}

}  // namespace

uint32_t Crc32c(std::span<const std::byte> bytes) {
  static const bool has_instruction = HasInstruction();
  return ~(has_instruction ? ByInstruction(~0U, bytes) : ByTables(~0U, bytes));
}

uint32_t JoinCrc32c(uint32_t front, uint32_t back, uint64_t back_bytes) {
  Matrix zeros = OneZeroByte();
  for (; back_bytes != 0; back_bytes >>= 1) {
    if ((back_bytes & 1) != 0) front = Times(zeros, front);
    zeros = Squared(zeros);
  }
  return front ^ back;
}

}  // namespace cogwheel
