// System call filters: what is allowed (SeccompProfile), compiled to the kernel's classic BPF, cached,
// installed. Source: seccomp(2); the words are those of the OCI runtime specification, linux.seccomp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::sys {

enum class SeccompAction : std::uint8_t { KillThread, KillProcess, Trap, Errno, Trace, Log, Allow, Notify };

// Errno carries the errno, Trace the tracer's message.
struct SeccompVerdict {
  SeccompAction action = SeccompAction::Allow;
  std::uint16_t data = 0;
  bool operator==(const SeccompVerdict&) const = default;
};

enum class SeccompCompare : std::uint8_t {
  NotEqual,
  Less,
  LessOrEqual,
  Equal,
  GreaterOrEqual,
  Greater,
  MaskedEqual
};

// Holds where `argument[index] compare value`; MaskedEqual: (argument & value) == second.
struct SeccompArgument {
  unsigned index = 0;  // 0-5
  SeccompCompare compare = SeccompCompare::Equal;
  std::uint64_t value = 0;
  std::uint64_t second = 0;
};

// All arguments must hold. Two conditions on the same argument are alternatives, as runc reads them:
// libseccomp has no other way to say so.
struct SeccompRule {
  std::vector<std::string> names;  // those that this machine does not have are left out
  SeccompVerdict verdict;
  std::vector<SeccompArgument> arguments;
};

struct SeccompProfile {
  SeccompVerdict fallback;                 // for what no rule names
  std::vector<std::string> architectures;  // "SCMP_ARCH_X86"; the machine's own always counts
  std::vector<SeccompRule> rules;
  unsigned flags = 0;  // SECCOMP_FILTER_FLAG_*, as asked for
  // Of SeccompAction::Notify: the socket where the supervisor gets its descriptor, and what is told it
  // besides.
  std::string listener_path;
  std::string listener_metadata;
  // Whether it hands calls to a supervisor (SeccompAction::Notify).
  bool notifies() const;
};

// "SCMP_ARCH_X86_64".
std::string_view native_seccomp_architecture();
bool is_seccomp_architecture(std::string_view name);
std::vector<std::string_view> seccomp_architectures();  // all that the specification names
// Whether this kernel takes all of these SECCOMP_FILTER_FLAG_*.
bool kernel_takes_seccomp_flags(unsigned flags);

// Ready for the kernel: one struct sock_filter in each 8 bytes.
struct SeccompProgram {
  std::vector<std::uint64_t> instructions;
  unsigned flags = 0;  // for seccomp(2)
  bool listens() const;
};
// The flags that seccomp(2) takes for a profile: those asked for, and what a listener adds and forbids.
unsigned seccomp_install_flags(const SeccompProfile& profile);

// By libseccomp, as a binary tree; some milliseconds. Architectures that this machine's kernel can never run
// (another byte order) are left out: nothing could make their calls. Where the fallback refuses calls, those
// newer than libseccomp's tables fail with ENOSYS instead, so that C libraries fall back to older ones.
// InvalidArgument names the rule that libseccomp refuses, or says that the program is longer than the kernel
// takes (4096 instructions).
Result<SeccompProgram> compile_seccomp(const SeccompProfile& profile);

// compile_seccomp() behind a cache: one file a profile in `cache_directory` (made if absent). A file holds
// the whole profile it was made from and a checksum, so neither damage nor a collision of names lets a wrong
// program pass: it is then made anew. A directory that cannot be written only costs time.
Result<SeccompProgram> cached_seccomp(const SeccompProfile& profile, const std::string& cache_directory);
// The file in that directory which stands for `profile`.
std::string seccomp_cache_name(const SeccompProfile& profile);

// For the time between fork and exec: no allocation; 0 or an errno. The caller has set no_new_privs or holds
// CAP_SYS_ADMIN (EACCES otherwise). Where the program listens, `listener` gets the close-on-exec descriptor
// of seccomp_unotify(2); without one such a program is EINVAL.
int install_seccomp(const SeccompProgram& program, int* listener = nullptr) noexcept;

}  // namespace berth::sys
