// The safetensors reader: what it accepts, and that every kind of damage is refused with its name.
#include "worker/weights/safetensors.h"

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// A file of this JSON header and so many bytes of data 0, 1, 2, ...
std::string MakeFile(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  bytes += header;
  for (size_t i = 0; i < data_bytes; ++i) bytes += static_cast<char>(i);
  return bytes;
}

std::map<std::string, TensorEntry> Parse(const std::string& bytes) {
  return ParseSafetensors(bytes, std::ssize(bytes), "w.safetensors");
}

void ExpectDamaged(const std::string& bytes, const std::string& what) {
  EXPECT_THAT([&] { Parse(bytes); }, ThrowsMessage<std::invalid_argument>(
                                         AllOf(HasSubstr("w.safetensors"), HasSubstr(what))));
}

constexpr char kTwoTensors[] =
    R"({"__metadata__": {"format": "pt"},
        "b": {"dtype": "F16", "shape": [3], "data_offsets": [1, 7]},
        "a": {"dtype": "U8", "shape": [1, 1], "data_offsets": [0, 1]}})";

TEST(Safetensors, ReadsTensorsMetadataPaddingAndUnalignedOffsets) {
  const std::string bytes = MakeFile(std::string(kTwoTensors) + "     ", 7);
  const std::map<std::string, TensorEntry> tensors = Parse(bytes);
  ASSERT_EQ(tensors.size(), 2u);
  const TensorEntry& b = tensors.at("b");
  EXPECT_EQ(b.dtype, TensorDtype::kF16);
  EXPECT_THAT(b.shape, testing::ElementsAre(3));
  ASSERT_EQ(b.bytes, 6);
  EXPECT_EQ(bytes[b.offset], 1);
  EXPECT_THAT(tensors.at("a").shape, testing::ElementsAre(1, 1));
}

TEST(Safetensors, EmptyTensorsAndFilesWithoutTensorsAreLegal) {
  EXPECT_TRUE(Parse(MakeFile("{}", 0)).empty());
  const auto tensors =
      Parse(MakeFile(R"({"e": {"dtype": "F32", "shape": [0, 5], "data_offsets": [0, 0]},
                         "s": {"dtype": "BF16", "shape": [], "data_offsets": [0, 2]}})",
                     2));
  EXPECT_EQ(tensors.at("e").bytes, 0);
  EXPECT_EQ(tensors.at("s").bytes, 2);
}

// The format's own list with the bits of each (safetensors 0.8.0, tensor.rs).
TEST(Safetensors, KnowsEveryDtypeOfTheFormat) {
  const std::map<std::string, int> bits = {
      {"BOOL", 8},        {"F4", 4},         {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
      {"I8", 8},          {"I16", 16},       {"U16", 16},    {"F16", 16},    {"BF16", 16},
      {"I32", 32},        {"U32", 32},       {"F32", 32},    {"C64", 64},    {"F64", 64},
      {"I64", 64},        {"U64", 64},       {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},
      {"F8_E5M2FNUZ", 8}, {"F8_E4M3FNUZ", 8}};
  for (const auto& [name, each] : bits) {
    const std::string entry = R"({"a": {"dtype": ")" + name + R"(", "shape": [3, 8]}})";
    const std::string offsets = R"(, "data_offsets": [0, )" + std::to_string(3 * each) + "]";
    const std::string header = entry.substr(0, entry.size() - 2) + offsets + "}}";
    const TensorEntry read = Parse(MakeFile(header, 3 * each)).at("a");
    EXPECT_EQ(DtypeName(read.dtype), name);
    EXPECT_EQ(read.bytes, 3 * each) << name;
  }
}

// Files that people have under this name.
TEST(Safetensors, SaysWhatOtherContentIs) {
  ExpectDamaged("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n",
                "git lfs pull");
  ExpectDamaged(std::string("GGUF\3\0\0\0\0\0\0\0", 12), "GGUF");
  ExpectDamaged("PK\3\4 archive/data.pkl", "pickle");
  ExpectDamaged("<!DOCTYPE html><html>", "web page");
}

TEST(Safetensors, RefusesDamagedHeaders) {
  ExpectDamaged("", "no header");
  ExpectDamaged("1234567", "no header");
  ExpectDamaged(std::string(8, '\xff'), "header of 18446744073709551615 bytes");
  std::string huge = MakeFile("{}", 0);
  const uint64_t length = 100'000'001;
  std::memcpy(huge.data(), &length, sizeof(length));
  ExpectDamaged(huge, "header of 100000001 bytes");
  ExpectDamaged(MakeFile(kTwoTensors, 7).substr(0, 60), "header of");
  ExpectDamaged(MakeFile("[]", 0), "JSON object");
  ExpectDamaged(MakeFile("{\"a\"", 0), "JSON object");
  ExpectDamaged(MakeFile("", 0), "JSON object");
  ExpectDamaged(MakeFile("{\"a\xff\": 1}", 0), "JSON object");
  ExpectDamaged(MakeFile("{\"a\": " + std::string(200'000, '[') + "}", 0), "JSON object");
}

TEST(Safetensors, RefusesDamagedEntries) {
  const auto entry = [](const std::string& fields) {
    return MakeFile("{\"a\": {" + fields + "}}", 8);
  };
  ExpectDamaged(MakeFile(R"({"a": [1]})", 0), "tensor a");
  ExpectDamaged(entry(R"("dtype": "Q4", "shape": [1], "data_offsets": [0, 8])"), "dtype Q4");
  ExpectDamaged(entry(R"("dtype": 4, "shape": [1], "data_offsets": [0, 8])"), "no dtype");
  ExpectDamaged(entry(R"("dtype": "I64", "shape": [2], "data_offsets": [0, 8])"), "need 16 bytes");
  ExpectDamaged(entry(R"("dtype": "F4", "shape": [15], "data_offsets": [0, 8])"),
                "shape and dtype");
  ExpectDamaged(entry(R"("shape": [2], "data_offsets": [0, 8])"), "dtype");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": 2, "data_offsets": [0, 8])"), "shape");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": [-2], "data_offsets": [0, 8])"), "shape");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": [2.0], "data_offsets": [0, 8])"), "shape");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": [1,1,1,1,1,1,1,1,2], "data_offsets": [0, 8])"),
                "shape");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": [2])"), "data_offsets");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": [2], "data_offsets": [0])"), "outside");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": [2], "data_offsets": [8, 0])"), "outside");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": [3], "data_offsets": [0, 12])"), "outside");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": [2], "data_offsets": [-1, 8])"), "data_offsets");
  ExpectDamaged(entry(R"("dtype": "F32", "shape": [3], "data_offsets": [0, 8])"), "12 bytes");
  // 2^31 · 2^31 · 4 elements overflow 64 bits to 0.
  ExpectDamaged(
      entry(R"("dtype": "F32", "shape": [2147483648, 2147483648, 4], "data_offsets": [0, 0])"),
      "tensor a");
}

TEST(Safetensors, RefusesOverlapGapsAndTrailingBytes) {
  const auto two = [](const std::string& first, const std::string& second, size_t data_bytes) {
    return MakeFile(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": )" + first +
                        R"(}, "b": {"dtype": "U8", "shape": [4], "data_offsets": )" + second + "}}",
                    data_bytes);
  };
  EXPECT_EQ(Parse(two("[4, 8]", "[0, 4]", 8)).size(), 2u);
  ExpectDamaged(two("[0, 4]", "[2, 6]", 6), "overlap");
  ExpectDamaged(two("[0, 4]", "[0, 4]", 4), "overlap");
  ExpectDamaged(two("[0, 4]", "[5, 9]", 9), "gap");
  ExpectDamaged(two("[0, 4]", "[4, 8]", 12), "4 bytes behind");
  ExpectDamaged(MakeFile("{}", 4), "4 bytes behind");
}

TEST(Safetensors, RefusesATensorNamedTwice) {
  ExpectDamaged(MakeFile(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                             "a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}})",
                         8),
                "tensor a is named twice");
}

TEST(Safetensors, NamesInMessagesArePrintableAndShort) {
  const std::string name = "a\\nb" + std::string(100'000, 'x');
  try {
    Parse(MakeFile("{\"" + name + "\": 1}", 0));
    FAIL();
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    EXPECT_THAT(message, HasSubstr("tensor a?bxxx"));
    EXPECT_LT(message.size(), 250u);
  }
}

TEST(Safetensors, TheWrittenHeaderReadsBack) {
  const std::string header =
      SafetensorsHeader({{.name = "frames", .dtype = TensorDtype::kU8, .shape = {2, 3, 1}},
                         {.name = "latents", .dtype = TensorDtype::kF32, .shape = {2, 2}}});
  EXPECT_EQ(header.size() % 8, 0u);
  const std::string bytes = header + std::string(6 + 16, 'x');
  const auto tensors = Parse(bytes);
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors.at("frames").offset, std::ssize(header));
  EXPECT_THAT(tensors.at("latents").shape, testing::ElementsAre(2, 2));
}

}  // namespace
}  // namespace cogwheel
