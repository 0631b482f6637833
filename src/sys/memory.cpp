#include "sys/memory.hpp"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace berth::sys {
namespace {

constexpr std::uintptr_t kPageBytes = 4096;

// What madvise(2) is told of the program's own segments; -1: nothing.
struct SegmentAdvice {
  int constants = -1;
  int code = -1;
  int writable = -1;

  int of(unsigned flags) const {
    if ((flags & PF_W) != 0) return writable;
    return (flags & PF_X) != 0 ? code : constants;
  }
};

// Called by the loader for the program and each library.
int advise_segments(dl_phdr_info* info, std::size_t, void* data) {
  const auto& advice = *static_cast<const SegmentAdvice*>(data);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    const int word = advice.of(segment.p_flags);
    if (segment.p_type != PT_LOAD || word < 0) continue;
    const std::uintptr_t start = (info->dlpi_addr + segment.p_vaddr) & ~(kPageBytes - 1);
    const std::uintptr_t end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    ::madvise(reinterpret_cast<void*>(start), end - start, word);
  }
  return 0;
}

void advise(SegmentAdvice advice) { ::dl_iterate_phdr(advise_segments, &advice); }

// Makes the heap `bytes` larger than it is, with all pages there.
void grow_heap(std::size_t bytes) {
  void* const block = ::malloc(bytes);
  if (block == nullptr) return;
  const auto start = reinterpret_cast<std::uintptr_t>(block) & ~(kPageBytes - 1);
  ::madvise(reinterpret_cast<void*>(start), bytes, MADV_POPULATE_WRITE);
  ::free(block);
}

}  // namespace

void prepare_for_a_short_run(std::size_t heap_bytes) {
  constexpr int kNever = 1 << 24;  // the largest that M_MMAP_THRESHOLD takes is 32 MiB
  ::mallopt(M_TRIM_THRESHOLD, kNever);
  ::mallopt(M_MMAP_THRESHOLD, kNever);
  // Most of the constants are tables for unwinding, which are hardly ever read.
  advise({.code = MADV_POPULATE_READ, .writable = MADV_POPULATE_WRITE});
  grow_heap(heap_bytes);
}

void release_idle_memory() {
  ::malloc_trim(0);
  advise({.constants = MADV_DONTNEED, .code = MADV_DONTNEED});  // these hold nothing that a file does not
}

}  // namespace berth::sys
