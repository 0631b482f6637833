#include "sys/memory.hpp"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace berth::sys {
namespace {

constexpr std::uintptr_t kPageBytes = 4096;

struct Range {
  std::uintptr_t start = 0;
  std::uintptr_t end = 0;

  void advise(int word) const noexcept {
    const std::uintptr_t page = start & ~(kPageBytes - 1);
    if (end > page) ::madvise(reinterpret_cast<void*>(page), end - page, word);
  }
};

// Writable: without what is read-only once it is relocated (PT_GNU_RELRO).
struct Segments {
  Range constants, code, writable;

  Range& of(unsigned flags) {
    if ((flags & PF_W) != 0) return writable;
    return (flags & PF_X) != 0 ? code : constants;
  }
};

// Called by the loader for the program, which is the first, and each library.
int note_segments(dl_phdr_info* info, std::size_t, void* data) {
  auto& segments = *static_cast<Segments*>(data);
  std::uintptr_t relocated_end = 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    const std::uintptr_t start = info->dlpi_addr + segment.p_vaddr;
    const std::uintptr_t end = start + segment.p_memsz;
    if (segment.p_type == PT_LOAD) segments.of(segment.p_flags) = {start, end};
    if (segment.p_type == PT_GNU_RELRO) relocated_end = end;
  }
  segments.writable.start = std::max(segments.writable.start, relocated_end);
  return 1;
}

Segments own_segments() {
  Segments segments;
  ::dl_iterate_phdr(note_segments, &segments);
  return segments;
}

}  // namespace

void map_own_program() {
  const Segments segments = own_segments();
  // Most of the constants are tables for unwinding, which are hardly ever read.
  segments.code.advise(MADV_POPULATE_READ);
  segments.writable.advise(MADV_POPULATE_WRITE);
}

void prepare_heap(std::size_t bytes) {
  constexpr int kNever = 1 << 24;  // the largest that M_MMAP_THRESHOLD takes is 32 MiB
  ::mallopt(M_TRIM_THRESHOLD, kNever);
  ::mallopt(M_MMAP_THRESHOLD, kNever);
  void* const block = ::malloc(bytes);
  if (block == nullptr) return;
  const auto start = reinterpret_cast<std::uintptr_t>(block);
  Range{start, start + bytes}.advise(MADV_POPULATE_WRITE);
  ::free(block);
}

void release_idle_memory() {
  ::malloc_trim(0);
  const Segments segments = own_segments();  // these two hold nothing that a file does not
  segments.constants.advise(MADV_DONTNEED);
  segments.code.advise(MADV_DONTNEED);
}

void release_shared_pages(void* start, std::size_t bytes) { ::madvise(start, bytes, MADV_REMOVE); }

}  // namespace berth::sys
