#include "base/secret.h"

#include <fstream>
#include <iterator>

#include <absl/strings/str_cat.h>

namespace cogwheel {

absl::StatusOr<std::string> ReadSecret(const std::string& file) {
  constexpr size_t kShortest = 16, kLongest = 4096;
  std::ifstream stream(file, std::ios::binary);
  std::string text(kLongest + 2, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.size() >= kShortest && text.size() <= kLongest) return text;
  return absl::InvalidArgumentError(absl::StrCat("file ", file, " does not hold a secret of ",
                                                 kShortest, " to ", kLongest, " bytes"));
}

absl::StatusOr<std::string> ReadPem(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (text.find("-----BEGIN ") != std::string::npos) return text;
  return absl::InvalidArgumentError(absl::StrCat("file ", file, " is no PEM file"));
}

}  // namespace cogwheel
