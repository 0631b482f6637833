#include "sys/probe.hpp"

#include <fmt/core.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/text.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace berth::sys {
namespace {

// The child's words: empty for success, else "code errno message".
std::string encode(const Result<void>& result) {
  if (result) return {};
  const Error& error = result.error();
  return fmt::format("{} {} {}", static_cast<int>(error.code), error.sys_errno, error.message);
}

Result<void> decode(const std::string& words) {
  const std::size_t first = words.find(' ');
  const std::size_t second = words.find(' ', first + 1);
  if (first == std::string::npos || second == std::string::npos) return fail(Code::Internal, words);
  const auto code = parse_i64(std::string_view(words).substr(0, first));
  const auto number = parse_i64(std::string_view(words).substr(first + 1, second - first - 1));
  return fail(Error{static_cast<Code>(code.value_or(static_cast<int>(Code::Unknown))),
                    static_cast<int>(number.value_or(0)), words.substr(second + 1)});
}

}  // namespace

Result<void> become_root_of_user_namespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return fail_errno("cannot make a user namespace");
  TRY(write_file("/proc/self/setgroups", "deny"));
  TRY(write_file("/proc/self/uid_map", fmt::format("0 {} 1", uid)));
  return write_file("/proc/self/gid_map", fmt::format("0 {} 1", gid));
}

Result<void> try_in_child(const std::function<Result<void>()>& attempt) {
  Pipe channel = TRY(pipe());
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("cannot fork");
  if (child == 0) {
    const std::string words = encode(attempt());
    ::_exit(write_all(channel.write.get(), words) ? 0 : 1);
  }
  channel.write.reset();
  const auto words = read_all(channel.read.get(), 1 << 16);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!words) return fail(words.error());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return fail(Code::Aborted, fmt::format("the attempt ended with wait status {}", status));
  }
  return words->empty() ? Result<void>{} : decode(*words);
}

std::vector<NamespaceProbe> probe_each_namespace() {
  struct Row {
    const char* name;
    int flag;
  };
  static constexpr std::array kRows = {
      Row{"mount", CLONE_NEWNS},      Row{"pid", CLONE_NEWPID}, Row{"ipc", CLONE_NEWIPC},
      Row{"uts", CLONE_NEWUTS},       Row{"net", CLONE_NEWNET}, Row{"time", 0x80},
      Row{"cgroup", CLONE_NEWCGROUP},
  };
  std::vector<NamespaceProbe> found;
  for (const Row& row : kRows) {
    found.push_back({row.name, try_in_child([&]() -> Result<void> {
                       if (::geteuid() != 0) TRY(become_root_of_user_namespace());
                       if (::unshare(row.flag) != 0) return fail_errno("cannot make the namespace");
                       return {};
                     })});
  }
  return found;
}

Result<void> probe_user_namespace() { return try_in_child(become_root_of_user_namespace); }

Result<void> probe_seccomp() {
  return try_in_child([]() -> Result<void> {
    static constexpr int kToken = 77;
    std::array<sock_filter, 4> filter{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | kToken),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("cannot set no-new-privileges");
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
      return fail_errno("cannot install a filter");
    }
    if (::syscall(SYS_getppid) != -1 || errno != kToken) {
      return fail(Code::FailedPrecondition, "a filter was installed and did not act");
    }
    return {};
  });
}

Result<void> probe_foreign_exit_status() {
  static constexpr int kStatus = 42;
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("cannot fork");
  if (child == 0) ::_exit(kStatus);
  const auto pidfd = open_pidfd(child);
  TRY(reap(child, true));
  if (!pidfd) return fail(pidfd.error());
  const auto status = foreign_exit_status(child, pidfd->get());
  if (!status || exit_code_of(*status) != kStatus) {
    return fail(Code::Unimplemented, "the kernel keeps no exit status for a pidfd (Linux 6.15 does)");
  }
  return {};
}

Result<void> probe_kvm() {
  const Fd device = TRY(open("/dev/kvm", O_RDWR));
  const int version = ::ioctl(device.get(), KVM_GET_API_VERSION, 0);
  if (version < 0) return fail_errno("/dev/kvm does not answer KVM_GET_API_VERSION");
  const Fd machine(::ioctl(device.get(), KVM_CREATE_VM, 0));
  if (!machine) return fail_errno("/dev/kvm makes no virtual machine");
  return {};
}

}  // namespace berth::sys
