// berth's default system call profile. Source of what is allowed: Docker's documented default profile
// ("Seccomp security profiles for Docker", docs.docker.com/engine/security/seccomp), read name by name and
// put in order of subject here. As there, and unlike Podman, io_uring stays closed: it works around later
// filters.
#include <array>
#include <cerrno>
#include <initializer_list>

#include "base/text.hpp"
#include "isolate/seccomp_profile.hpp"

namespace berth::isolate {
namespace {

using sys::SeccompAction;
using sys::SeccompArgument;
using sys::SeccompCompare;
using sys::SeccompProfile;
using sys::SeccompRule;
using sys::SeccompVerdict;

// Names as libseccomp has them; those of another architecture, or newer than libseccomp, are left out when
// compiling.
constexpr std::array<std::string_view, 13> kAllowed = {
    // files: open, read, write
    "open openat openat2 creat close close_range read readv pread64 preadv preadv2 write writev pwrite64 "
    "pwritev pwritev2 "
    "lseek _llseek dup dup2 dup3 fcntl fcntl64 ioctl pipe pipe2 readahead copy_file_range sendfile "
    "sendfile64 splice tee "
    "vmsplice sync syncfs fsync fdatasync sync_file_range fadvise64 fadvise64_64 fallocate ftruncate "
    "ftruncate64 truncate "
    "truncate64 flock cachestat",
    // files: names, attributes, directories
    "stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64 "
    "access faccessat "
    "faccessat2 chmod fchmod fchmodat fchmodat2 chown chown32 lchown lchown32 fchown fchown32 fchownat umask "
    "utime utimes "
    "futimesat utimensat utimensat_time64 link linkat symlink symlinkat readlink readlinkat unlink unlinkat "
    "rename renameat "
    "renameat2 mkdir mkdirat rmdir mknod mknodat getdents getdents64 getcwd chdir fchdir name_to_handle_at",
    "getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr "
    "flistxattr "
    "listxattrat removexattr lremovexattr fremovexattr removexattrat inotify_init inotify_init1 "
    "inotify_add_watch "
    "inotify_rm_watch fanotify_mark",
    // waiting for files
    "select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl "
    "epoll_ctl_old "
    "epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 io_setup "
    "io_destroy io_submit "
    "io_cancel io_getevents io_pgetevents io_pgetevents_time64",
    // memory
    "brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall "
    "remap_file_pages "
    "memfd_create memfd_secret pkey_alloc pkey_free pkey_mprotect membarrier map_shadow_stack mseal",
    // processes and threads; clone and personality are below
    "fork vfork execve execveat exit exit_group wait4 waitid waitpid kill tkill tgkill pidfd_open "
    "pidfd_send_signal "
    "process_mrelease getpid getppid gettid getpgid getpgrp setpgid getsid setsid prctl arch_prctl "
    "modify_ldt "
    "set_tid_address set_thread_area get_thread_area set_robust_list get_robust_list rseq futex futex_time64 "
    "futex_waitv "
    "futex_wait futex_wake futex_requeue restart_syscall ptrace process_vm_readv process_vm_writev",
    // users, groups, capabilities, confinement of oneself
    "getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid "
    "getresgid32 "
    "getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid "
    "setresuid32 "
    "setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset "
    "seccomp "
    "landlock_create_ruleset landlock_add_rule landlock_restrict_self",
    // signals
    "rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
    "rt_sigqueueinfo "
    "rt_tgsigqueueinfo rt_sigreturn sigaltstack sigprocmask sigreturn pause",
    // time
    "time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep "
    "clock_nanosleep_time64 nanosleep alarm getitimer setitimer timer_create timer_delete timer_getoverrun "
    "timer_gettime "
    "timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
    "timerfd_settime "
    "timerfd_settime64 times adjtimex clock_adjtime clock_adjtime64",
    // scheduling and limits
    "sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam "
    "sched_setparam "
    "sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min "
    "sched_rr_get_interval "
    "sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getrlimit ugetrlimit "
    "setrlimit prlimit64 "
    "getrusage getcpu",
    // sockets; socket itself is below
    "socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt "
    "send sendto "
    "sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 socketcall",
    // System V and POSIX interprocess communication
    "ipc msgget msgctl msgsnd msgrcv semget semctl semop semtimedop semtimedop_time64 shmget shmctl shmat "
    "shmdt mq_open "
    "mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64 mq_notify "
    "mq_getsetattr",
    // the machine
    "uname sysinfo getrandom"};

struct Unlocked {
  std::string_view capability;
  std::string_view names;
};

constexpr std::array<Unlocked, 14> kUnlocked = {{
    {"DAC_READ_SEARCH", "open_by_handle_at"},
    {"SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr "
     "move_mount "
     "open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 "
     "unshare"},
    {"SYS_BOOT", "reboot"},
    {"SYS_CHROOT", "chroot"},
    {"SYS_MODULE", "delete_module init_module finit_module"},
    {"SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"SYS_PACCT", "acct"},
    {"SYS_PTRACE", "kcmp pidfd_getfd process_madvise"},
    {"SYS_RAWIO", "iopl ioperm"},
    {"SYS_TIME", "settimeofday stime clock_settime clock_settime64"},
    {"SYS_TTY_CONFIG", "vhangup"},
    {"SYSLOG", "syslog"},
    {"BPF", "bpf"},
    {"PERFMON", "perf_event_open"},
}};

// clone(2): CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
constexpr std::uint64_t kNamespaceFlags = 0x7e020000;
// socket(2), AF_VSOCK: leads to the hypervisor's host and knows no network namespaces.
constexpr std::uint64_t kVsock = 40;
// personality(2): PER_LINUX, PER_LINUX32, both with UNAME26, and the question for the present one.
constexpr std::array<std::uint64_t, 5> kPersonalities = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

constexpr SeccompVerdict kAllow{SeccompAction::Allow, 0};

bool holds(sys::CapabilityMask capabilities, std::string_view name) {
  return (capabilities & sys::capability_bit(*sys::capability_number(name))) != 0;
}

void add_conditional(SeccompProfile& profile, const char* name, const SeccompArgument& condition) {
  profile.rules.push_back({{name}, kAllow, {condition}});
}

}  // namespace

SeccompProfile default_seccomp_profile(sys::CapabilityMask capabilities) {
  SeccompProfile profile;
  profile.fallback = {SeccompAction::Errno, EPERM};
  if (sys::native_seccomp_architecture() == "SCMP_ARCH_X86_64") {
    profile.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  }
  for (const std::string_view names : kAllowed) profile.rules.push_back({split(names, ' '), kAllow, {}});
  for (const Unlocked& row : kUnlocked) {
    if (holds(capabilities, row.capability)) profile.rules.push_back({split(row.names, ' '), kAllow, {}});
  }
  for (const std::uint64_t value : kPersonalities) {
    add_conditional(profile, "personality", {0, SeccompCompare::Equal, value, 0});
  }
  add_conditional(profile, "socket", {0, SeccompCompare::NotEqual, kVsock, 0});
  if (!holds(capabilities, "SYS_ADMIN")) {
    add_conditional(profile, "clone", {0, SeccompCompare::MaskedEqual, kNamespaceFlags, 0});
    // A filter cannot see clone3's flags, which lie in memory: as if the kernel had no such call, libraries
    // use clone.
    profile.rules.push_back({{"clone3"}, {SeccompAction::Errno, ENOSYS}, {}});
  }
  return profile;
}

}  // namespace berth::isolate
