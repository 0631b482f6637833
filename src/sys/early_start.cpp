// Where a program linked with `-e berth_early_start` begins: what run_out_of_reach() does, before the C
// library has touched a page that the new start would have to touch once more (measured: a third of the
// time). Whatever does not work out is left to run_out_of_reach(), which says why.
//
// Nothing of the C library works yet: no thread-local memory (so no stack protector, no errno) and no
// function that is chosen at start (memset, strlen). System calls and types are those of <linux/mount.h>,
// open_tree(2), mount_setattr(2) and execveat(2).
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <initializer_list>

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

}  // namespace

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
  mov %rbp, %rsp
  mov %rbx, %rdx
  xor %ebp, %ebp
  jmp _start
  .size berth_early_start, . - berth_early_start
  .popsection
)");
