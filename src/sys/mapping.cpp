#include "sys/mapping.hpp"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

namespace berth::sys {

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    reset();
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void Mapping::reset() noexcept {
  if (data_ != nullptr) ::munmap(data_, bytes_);
  data_ = nullptr;
  bytes_ = 0;
}

Result<Mapping> Mapping::shared(int fd, std::size_t bytes, Access access, const std::string& what) {
  const int protection = access == Access::Read ? PROT_READ : PROT_READ | PROT_WRITE;
  void* address = ::mmap(nullptr, bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (address == MAP_FAILED) return fail_errno(fmt::format("cannot map {} bytes of {}", bytes, what));
  return Mapping(static_cast<std::byte*>(address), bytes);
}

Result<Mapping> Mapping::of_file(const std::string& path) {
  const Fd file = TRY(open(path, O_RDONLY));
  return of_file(file.get(), path);
}

Result<Mapping> Mapping::of_file(int fd, const std::string& name) {
  struct ::stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(fmt::format("cannot examine {}", name));
  if (!S_ISREG(status.st_mode))
    return fail(Code::InvalidArgument, fmt::format("cannot map {}: not a regular file", name));
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes == 0) return Mapping();
  void* address = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) return fail_errno(fmt::format("cannot map {}", name));
  return Mapping(static_cast<std::byte*>(address), bytes);
}

void Mapping::prefer_huge_pages() const noexcept {
  if (data_ != nullptr) ::madvise(data_, bytes_, MADV_HUGEPAGE);
}

namespace {

void advise(std::span<const std::byte> bytes, int advice) noexcept {
  constexpr std::uintptr_t kPageBytes = 4096;
  const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::uintptr_t page = first & ~(kPageBytes - 1);
  if (!bytes.empty()) ::madvise(reinterpret_cast<void*>(page), first + bytes.size() - page, advice);
}

}  // namespace

void populate(std::span<std::byte> bytes) noexcept { advise(bytes, MADV_POPULATE_WRITE); }
void populate(std::span<const std::byte> bytes) noexcept { advise(bytes, MADV_POPULATE_READ); }

Result<Fd> make_memory_file(const std::string& name, std::uint64_t bytes) {
  Fd file(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return fail_errno(fmt::format("cannot make the memory file {}", name));
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
    return fail_errno(fmt::format("cannot make the memory file {} {} bytes long", name, bytes));
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
    return fail_errno(fmt::format("cannot seal the memory file {}", name));
  return file;
}

}  // namespace berth::sys
