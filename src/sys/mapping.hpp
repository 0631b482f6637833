// Memory that is mapped at one stretch, and files that live in memory alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// Owns one mmap(2) of whole pages; move-only. An empty one maps nothing.
class Mapping {
 public:
  enum class Access { Read, ReadWrite };

  Mapping() noexcept = default;
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping() { reset(); }

  // Shared with all who map the file; pages are taken when first touched. `what` names it in errors.
  static Result<Mapping> shared(int fd, std::size_t bytes, Access access, const std::string& what);
  // Readable bytes of a file, private to the process: later changes of the file may or may not show.
  static Result<Mapping> of_file(const std::string& path);
  static Result<Mapping> of_file(int fd, const std::string& name);

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }
  std::span<std::byte> bytes() const { return {data_, bytes_}; }
  // Asks for huge pages; a wish, not a need.
  void prefer_huge_pages() const noexcept;

 private:
  Mapping(std::byte* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  void reset() noexcept;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// Brings pages in at once, to be written or to be read: a tenth of what touching them one by one costs. A
// wish, not a need.
void populate(std::span<std::byte> bytes) noexcept;
void populate(std::span<const std::byte> bytes) noexcept;

// A file in memory of that size (memfd_create(2)), zeroed, which can neither shrink nor grow.
Result<Fd> make_memory_file(const std::string& name, std::uint64_t bytes);

}  // namespace berth::sys
