#include "sys/code_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "sys/fd.hpp"

namespace berth::sys {

Result<CodeMemory> CodeMemory::create(std::size_t bytes) {
  constexpr std::size_t kPage = 4096;
  CodeMemory memory;
  memory.bytes_ = (bytes + kPage - 1) & ~(kPage - 1);
  const Fd file{::memfd_create("berth-code", MFD_CLOEXEC)};
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(memory.bytes_)) != 0) {
    return fail_errno("cannot make a memory file for generated code");
  }
  void* const both =
      ::mmap(nullptr, 2 * memory.bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (both == MAP_FAILED) return fail_errno("cannot make room for generated code");
  memory.writable_ = static_cast<std::byte*>(both);
  memory.executable_ = memory.writable_ + memory.bytes_;
  const auto map = [&](const std::byte* at, int protection) {
    return ::mmap(const_cast<std::byte*>(at), memory.bytes_, protection, MAP_SHARED | MAP_FIXED, file.get(),
                  0) != MAP_FAILED;
  };
  if (!map(memory.writable_, PROT_READ | PROT_WRITE) || !map(memory.executable_, PROT_READ | PROT_EXEC))
    return fail_errno("cannot map generated code for execution");
  return memory;
}

CodeMemory::CodeMemory(CodeMemory&& other) noexcept
    : writable_(std::exchange(other.writable_, nullptr)),
      executable_(std::exchange(other.executable_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

CodeMemory& CodeMemory::operator=(CodeMemory&& other) noexcept {
  if (this != &other) {
    reset();
    writable_ = std::exchange(other.writable_, nullptr);
    executable_ = std::exchange(other.executable_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

CodeMemory::~CodeMemory() { reset(); }

void CodeMemory::reset() noexcept {
  if (writable_ != nullptr) ::munmap(writable_, bytes_);
  if (executable_ != nullptr) ::munmap(const_cast<std::byte*>(executable_), bytes_);
  writable_ = nullptr;
  executable_ = nullptr;
}

}  // namespace berth::sys
