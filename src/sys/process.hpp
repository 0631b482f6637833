// Processes by descriptor: clone3(2), pidfds and namespaces.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

struct CloneOptions {
  std::uint64_t namespaces = 0;  // CLONE_NEW*
  int cgroup = -1;               // a cgroup v2 directory to be born in
  bool sibling = false;          // CLONE_PARENT: the caller's parent becomes the parent
};

// As fork(2): gives 0 in the child. -errno on failure; nothing is allocated. `pidfd` may be null.
pid_t clone_process(const CloneOptions& options, int* pidfd) noexcept;

// A descriptor for a process that exists; NotFound otherwise.
Result<Fd> open_pidfd(pid_t pid);
// NotFound where it has ended.
Result<void> send_signal(int pidfd, int signal);
// Whether it has ended (also as a zombie).
bool has_ended(int pidfd);
// Waits at most `timeout_ms` (-1: for ever) for its end.
Result<bool> wait_for_end(int pidfd, int timeout_ms);

// Reaps a child; its status as wait(2) gives it. Nothing where it has not ended and `block` is false.
Result<std::optional<int>> reap(pid_t pid, bool block);
// What a shell would give for a wait status: the exit code, or 128 + the signal's number.
int exit_code_of(int wait_status);
// The wait status of a process that is not our child: from /proc while it is a zombie, by PIDFD_GET_INFO
// (Linux 6.15) once its parent has reaped it. Nothing where it still runs or the kernel cannot tell.
std::optional<int> foreign_exit_status(pid_t pid, int pidfd);

// One line of /proc/PID/stat.
struct ProcessStat {
  char state = 0;                // 'R', 'S', 'Z', ...
  std::uint64_t start_time = 0;  // together with the number it names one process for good
  bool ended() const { return state == 'Z' || state == 'X'; }
};
// NotFound where there is no such process.
Result<ProcessStat> look_up_process(pid_t pid);
// Field 22 of /proc/PID/stat: together with the number it names one process for good.
Result<std::uint64_t> process_start_time(pid_t pid);

// The namespaces (CLONE_NEW*) in which process `pid` differs from the caller.
Result<int> differing_namespaces(pid_t pid);

// InvalidArgument where `fd` is not a namespace of the kind `kind` (CLONE_NEW*).
Result<void> check_namespace(int fd, int kind);
// Tries, in a child, to make the namespaces that a container needs; the error says which one this kernel
// refuses.
Result<void> probe_namespaces();

// --- between fork and exec: 0 or errno ---
int join_namespaces(int pidfd, int namespaces) noexcept;
int new_namespaces(int namespaces) noexcept;
int set_hostname(const char* name, std::size_t length) noexcept;
int bring_up_loopback() noexcept;
int hide_from_ptrace() noexcept;  // PR_SET_DUMPABLE 0: no /proc/PID/exe for others
int set_no_new_privileges() noexcept;
int set_user(uid_t uid, gid_t gid, const gid_t* groups, std::size_t count, bool set_groups) noexcept;
bool may_set_groups() noexcept;       // by capability and user_namespaces(7), /proc/PID/setgroups
int adopt_terminal(int fd) noexcept;  // new session, controlling terminal
int reset_signals() noexcept;         // default dispositions, nothing blocked
int set_child_subreaper() noexcept;
// Closes all descriptors from `first_fd` on but these (at most 8, in any order).
void close_all_but(int first_fd, std::initializer_list<int> kept) noexcept;
int close_from(int first_fd,
               bool only_mark) noexcept;  // close, or mark close-on-exec, all from `first_fd` on

}  // namespace berth::sys
