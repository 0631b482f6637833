// Memory for code that a program makes while it runs: two mappings of the same pages, one to write by and one
// to execute by, next to each other, so that no address is ever both.
#pragma once

#include <cstddef>
#include <span>

#include "base/result.hpp"

namespace berth::sys {

class CodeMemory {
 public:
  // `bytes` is rounded up to whole pages, which cost nothing before they are touched. ResourceExhausted,
  // PermissionDenied.
  static Result<CodeMemory> create(std::size_t bytes);
  CodeMemory(CodeMemory&& other) noexcept;
  CodeMemory& operator=(CodeMemory&& other) noexcept;
  ~CodeMemory();

  std::size_t size() const { return bytes_; }
  std::byte* writable() const { return writable_; }
  const std::byte* executable() const { return executable_; }

 private:
  CodeMemory() = default;
  void reset() noexcept;
  std::byte* writable_ = nullptr;
  std::byte* executable_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace berth::sys
