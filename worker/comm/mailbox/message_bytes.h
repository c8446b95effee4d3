#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace cogwheel {

// What a message carries. Movable; the bytes are not set to anything first.
class MessageBytes {
 public:
  MessageBytes() = default;
  explicit MessageBytes(std::span<const std::byte> bytes)
      : data_(std::make_unique_for_overwrite<std::byte[]>(bytes.size())), size_(bytes.size()) {
    std::ranges::copy(bytes, data_.get());
  }
  // Room for `size` bytes; false when there is none. For a thread on which nothing may throw.
  [[nodiscard]] bool TryResize(size_t size) {
    data_.reset(new (std::nothrow) std::byte[size]);
    size_ = data_ == nullptr ? 0 : size;
    return data_ != nullptr;
  }

  size_t size() const { return size_; }
  std::span<std::byte> bytes() { return {data_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> data_;
  size_t size_ = 0;
};

}  // namespace cogwheel
