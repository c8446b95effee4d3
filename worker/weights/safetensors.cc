#include "worker/weights/safetensors.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

#include "worker/weights/json_fields.h"

namespace cogwheel {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxDims = 8;

struct DtypeRow {
  TensorDtype dtype;
  const char* name;
  int bits;
};

constexpr DtypeRow kDtypes[] = {
    {TensorDtype::kBool, "BOOL", 8},
    {TensorDtype::kF4, "F4", 4},
    {TensorDtype::kF6E2m3, "F6_E2M3", 6},
    {TensorDtype::kF6E3m2, "F6_E3M2", 6},
    {TensorDtype::kU8, "U8", 8},
    {TensorDtype::kI8, "I8", 8},
    {TensorDtype::kF8E5m2, "F8_E5M2", 8},
    {TensorDtype::kF8E4m3, "F8_E4M3", 8},
    {TensorDtype::kF8E8m0, "F8_E8M0", 8},
    {TensorDtype::kF8E4m3fnuz, "F8_E4M3FNUZ", 8},
    {TensorDtype::kF8E5m2fnuz, "F8_E5M2FNUZ", 8},
    {TensorDtype::kI16, "I16", 16},
    {TensorDtype::kU16, "U16", 16},
    {TensorDtype::kF16, "F16", 16},
    {TensorDtype::kBf16, "BF16", 16},
    {TensorDtype::kI32, "I32", 32},
    {TensorDtype::kU32, "U32", 32},
    {TensorDtype::kF32, "F32", 32},
    {TensorDtype::kC64, "C64", 64},
    {TensorDtype::kF64, "F64", 64},
    {TensorDtype::kI64, "I64", 64},
    {TensorDtype::kU64, "U64", 64},
};

constexpr const DtypeRow& RowOf(TensorDtype dtype) { return kDtypes[static_cast<size_t>(dtype)]; }

constexpr bool RowsAreInOrder() {
  for (size_t i = 0; i < std::size(kDtypes); ++i) {
    if (static_cast<size_t>(kDtypes[i].dtype) != i) return false;
  }
  return std::size(kDtypes) == static_cast<size_t>(TensorDtype::kU64) + 1;
}
static_assert(RowsAreInOrder());

[[noreturn]] void Refuse(const std::string& file, const std::string& what) {
  throw std::invalid_argument(file + " is damaged: " + what);
}

// What files of this name hold now and then, by their first bytes.
void RefuseOtherContent(std::string_view start, const std::string& file) {
  constexpr std::pair<std::string_view, const char*> kOthers[] = {
      {"version ", "a Git LFS pointer, not the weights; run git lfs pull, or download it again"},
      {"GGUF", "GGUF under another name, which is not read; take the model's safetensors files"},
      {"PK\3\4",
       "PyTorch's pickle format under another name, which can run code when it is opened"},
      {"<!DOCTYP", "a web page, not the weights; download it again"}};
  for (const auto& [begin, what] : kOthers) {
    if (start.starts_with(begin)) throw std::invalid_argument(file + " is " + what);
  }
}

// Bytes of the JSON header, whose length the file's first bytes tell.
uint64_t HeaderBytes(std::string_view start, int64_t file_bytes, const std::string& file) {
  if (start.size() < kLengthBytes) Refuse(file, "it has no header");
  RefuseOtherContent(start, file);
  uint64_t length = 0;
  std::memcpy(&length, start.data(), kLengthBytes);
  if (length > kMaxHeaderBytes || length > static_cast<uint64_t>(file_bytes) - kLengthBytes) {
    Refuse(file, "a header of " + std::to_string(length) + " bytes in a file of " +
                     std::to_string(file_bytes));
  }
  return length;
}

// Keeps the last value of a repeated key silently otherwise, so one tensor could hide another.
nlohmann::json ParseWithUniqueNames(std::string_view header, const std::string& file) {
  std::set<std::string> names;
  std::string repeated;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    if (depth > 4) return false;
    if (event == nlohmann::json::parse_event_t::key && depth == 1 &&
        !names.insert(value.get<std::string>()).second) {
      repeated = value.get<std::string>();
    }
    return true;
  };
  nlohmann::json json = nlohmann::json::parse(header, watch, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) Refuse(file, "its header is not a JSON object");
  if (!repeated.empty()) Refuse(file, "tensor " + PrintableName(repeated) + " is named twice");
  return json;
}

TensorDtype ReadDtype(const nlohmann::json& info, const std::string& where) {
  const auto dtype = info.find("dtype");
  if (dtype == info.end() || !dtype->is_string()) {
    throw std::invalid_argument(where + " has no dtype");
  }
  const auto& found = dtype->get_ref<const std::string&>();
  for (const DtypeRow& row : kDtypes) {
    if (found == row.name) return row.dtype;
  }
  throw std::invalid_argument(where + ": dtype " + PrintableName(found) +
                              " is none of the format's; the nearest legal one is F32");
}

std::vector<int64_t> ReadWholeNumbers(const nlohmann::json& info, const char* key,
                                      const std::string& where) {
  const auto found = info.find(key);
  std::vector<int64_t> numbers;
  if (found == info.end() || !found->is_array() || found->size() > kMaxDims) {
    throw std::invalid_argument(where + ": " + key + " is not an array of whole numbers");
  }
  for (const nlohmann::json& number : *found) {
    if (!number.is_number_unsigned() || number.get<uint64_t>() > (uint64_t{1} << 60)) {
      throw std::invalid_argument(where + ": " + key + " is not an array of whole numbers");
    }
    numbers.push_back(number.get<int64_t>());
  }
  return numbers;
}

// Bytes of a shape; -1 when the product overflows or they are not whole.
int64_t ShapeBytes(const std::vector<int64_t>& shape, TensorDtype dtype) {
  int64_t bits = ElementBits(dtype);
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(bits, extent, &bits)) return -1;
  }
  return bits % 8 == 0 ? bits / 8 : -1;
}

}  // namespace

int ElementBits(TensorDtype dtype) { return RowOf(dtype).bits; }

const char* DtypeName(TensorDtype dtype) { return RowOf(dtype).name; }

std::map<std::string, TensorEntry> ParseSafetensors(std::string_view start, int64_t file_bytes,
                                                    const std::string& file) {
  const std::string_view header = start.substr(kLengthBytes, HeaderBytes(start, file_bytes, file));
  const int64_t data_begin = static_cast<int64_t>(kLengthBytes + header.size());
  const int64_t size = file_bytes - data_begin;
  std::map<std::string, TensorEntry> tensors;
  std::vector<std::pair<int64_t, int64_t>> ranges;
  const nlohmann::json json = ParseWithUniqueNames(header, file);
  for (const auto& [name, info] : json.items()) {
    if (name == "__metadata__") continue;
    const std::string where = file + ": tensor " + PrintableName(name);
    if (!info.is_object()) throw std::invalid_argument(where + " is not described by an object");
    TensorEntry entry = {.dtype = ReadDtype(info, where),
                         .shape = ReadWholeNumbers(info, "shape", where)};
    const std::vector<int64_t> offsets = ReadWholeNumbers(info, "data_offsets", where);
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > size) {
      throw std::invalid_argument(where + ": its data lie outside of the file (" +
                                  std::to_string(size) + " bytes of data)");
    }
    if (ShapeBytes(entry.shape, entry.dtype) != offsets[1] - offsets[0]) {
      throw std::invalid_argument(
          where + ": shape and dtype need " + std::to_string(ShapeBytes(entry.shape, entry.dtype)) +
          " bytes, its data have " + std::to_string(offsets[1] - offsets[0]));
    }
    entry.offset = data_begin + offsets[0];
    entry.bytes = offsets[1] - offsets[0];
    ranges.emplace_back(offsets[0], offsets[1]);
    tensors.emplace(name, std::move(entry));
  }
  std::ranges::sort(ranges);
  int64_t end = 0;
  for (const auto& [first, last] : ranges) {
    if (first != end) Refuse(file, "tensors overlap or leave a gap at byte " + std::to_string(end));
    end = last;
  }
  if (end != size) Refuse(file, std::to_string(size - end) + " bytes behind the last tensor");
  return tensors;
}

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(path) {
  const int64_t bytes = file_.bytes();
  std::string start(std::min<int64_t>(bytes, kLengthBytes), '\0');  // length, then header
  Read(0, std::as_writable_bytes(std::span(start)));
  start.resize(kLengthBytes + HeaderBytes(start, bytes, path));
  Read(0, std::as_writable_bytes(std::span(start)));
  tensors_ = ParseSafetensors(start, bytes, path);
}

std::string SafetensorsHeader(const std::vector<TensorPlan>& tensors) {
  nlohmann::ordered_json json;
  json["__metadata__"] = {{"format", "pt"}};
  int64_t offset = 0;
  for (const TensorPlan& tensor : tensors) {
    const int64_t bytes = ShapeBytes(tensor.shape, tensor.dtype);
    json[tensor.name] = {{"dtype", DtypeName(tensor.dtype)},
                         {"shape", tensor.shape},
                         {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // data start aligned
  uint64_t length = text.size();
  std::string header(kLengthBytes, '\0');
  std::memcpy(header.data(), &length, kLengthBytes);
  return header + text;
}

}  // namespace cogwheel
