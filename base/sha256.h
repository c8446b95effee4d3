#pragma once

#include <string>
#include <string_view>

struct evp_md_ctx_st;

// The digest that names results, checkpoints and requests. Includes no OpenSSL header.
namespace cogwheel {

// Thread-compatible.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&& other) noexcept;
  Sha256& operator=(Sha256&& other) noexcept;

  void Update(std::string_view bytes);
  // 64 lower-case hex digits of all that was given so far. Ends the computation.
  std::string HexDigest();

 private:
  evp_md_ctx_st* context_;
};

std::string Sha256Hex(std::string_view bytes);

}  // namespace cogwheel
