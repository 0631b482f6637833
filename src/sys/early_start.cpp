// Where a program linked with `-e berth_early_start` begins: what run_out_of_reach() does, before the C
// library has touched a page that the new start would have to touch once more (measured: a third of the
// time). Whatever does not work out is left to run_out_of_reach(), which says why. Then what
// map_own_program() does, and the same for the stack, before the C library touches them page by page.
//
// Nothing of the C library works yet: no thread-local memory (so no stack protector, no errno) and no
// function that is chosen at start (memset, strlen). System calls and types are those of <linux/mount.h>,
// open_tree(2), mount_setattr(2), execveat(2) and madvise(2).
#include <elf.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <cstdint>

namespace {

#define BERTH_BARE gnu::no_stack_protector, gnu::no_sanitize("address", "undefined", "thread")

constexpr const char* kSelf = "/proc/self/exe";

template <typename First, typename Second = long, typename Third = long, typename Fourth = long,
          typename Fifth = long>
[[BERTH_BARE]] inline long call(long number, First first, Second second = 0, Third third = 0,
                                Fourth fourth = 0, Fifth fifth = 0) {
  long result = 0;
  register auto r10 asm("r10") = fourth;
  register auto r8 asm("r8") = fifth;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return result;
}

[[BERTH_BARE]] bool same(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

// Whether one of the words may be a command that starts something in a container. One that is not only costs
// time.
[[BERTH_BARE]] bool may_enter(char* const* argv) {
  for (; *argv != nullptr; ++argv) {
    if (same(*argv, "create") || same(*argv, "run") || same(*argv, "exec")) return true;
  }
  return false;
}

constexpr std::uintptr_t kPage = 4096;
constexpr std::uintptr_t kStackBytes = 40 << 10;  // what `create` uses, measured
// Behind them are tables for unwinding, hardly ever read.
constexpr std::uintptr_t kConstantBytes = 256 << 10;

[[BERTH_BARE]] void populate(std::uintptr_t start, std::uintptr_t end, long advice) {
  start &= ~(kPage - 1);
  call(SYS_madvise, start, end - start, advice);
}

}  // namespace

extern "C" const Elf64_Ehdr __ehdr_start;  // the linker's: where the program's file is mapped

// What will be made read-only after relocation (PT_GNU_RELRO) is left alone: taking the right to write from
// pages that are there costs more than they do when they are touched (a third of a millisecond, measured).
extern "C" [[BERTH_BARE, gnu::used]] void berth_map_program(long* stack) {
  const auto first = reinterpret_cast<std::uintptr_t>(&__ehdr_start);
  const auto* const segments = reinterpret_cast<const Elf64_Phdr*>(first + __ehdr_start.e_phoff);
  std::uintptr_t base = first;  // what addresses in the file are relative to
  std::uintptr_t writable = 0;
  for (int i = 0; i < __ehdr_start.e_phnum; ++i) {
    const Elf64_Phdr& segment = segments[i];
    if (segment.p_type == PT_LOAD && segment.p_offset == 0) base = first - segment.p_vaddr;
    if (segment.p_type == PT_GNU_RELRO) writable = base + segment.p_vaddr + segment.p_memsz;
  }
  for (int i = 0; i < __ehdr_start.e_phnum; ++i) {
    const Elf64_Phdr& segment = segments[i];
    if (segment.p_type != PT_LOAD) continue;
    const std::uintptr_t start = base + segment.p_vaddr;
    const std::uintptr_t end = start + segment.p_memsz;
    if ((segment.p_flags & PF_W) != 0)
      populate(start < writable && writable < end ? writable : start, end, MADV_POPULATE_WRITE);
    else if ((segment.p_flags & PF_X) != 0 || segment.p_memsz <= kConstantBytes)
      populate(start, end, MADV_POPULATE_READ);
    else
      populate(start, start + kConstantBytes, MADV_POPULATE_READ);
  }
  const auto top = reinterpret_cast<std::uintptr_t>(stack);
  populate(top - kStackBytes, top, MADV_POPULATE_WRITE);
}

// `stack`: the number of arguments, the arguments, a null pointer, the environment (x86-64 psABI, "Process
// Initialization").
extern "C" [[BERTH_BARE, gnu::used]] void berth_leave_writable_program(long* stack) {
  char** const argv = reinterpret_cast<char**>(stack + 1);
  char** const environment = argv + *stack + 1;
  struct statfs info;
  if (!may_enter(argv) || call(SYS_statfs, kSelf, &info) != 0 || (info.f_flags & ST_RDONLY) != 0) return;
  const long mount = call(SYS_open_tree, AT_FDCWD, kSelf, long{OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC});
  if (mount < 0) return;
  mount_attr attributes;
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  attributes.attr_clr = 0;
  attributes.propagation = 0;
  attributes.userns_fd = 0;
  if (call(SYS_mount_setattr, mount, "", long{AT_EMPTY_PATH}, &attributes, sizeof attributes) == 0)
    call(SYS_execveat, mount, "", argv, environment, long{AT_EMPTY_PATH});
  call(SYS_close, mount);
}

asm(R"(
  .pushsection .text
  .globl berth_early_start
  .type berth_early_start, @function
berth_early_start:
  mov %rsp, %rbp
  mov %rdx, %rbx
  mov %rsp, %rdi
  and $-16, %rsp
  call berth_leave_writable_program
  mov %rbp, %rdi
  call berth_map_program
  mov %rbp, %rsp
  mov %rbx, %rdx
  xor %ebp, %ebp
  jmp _start
  .size berth_early_start, . - berth_early_start
  .popsection
)");
