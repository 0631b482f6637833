#include "isolate/seccomp_profile.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <map>

#include "base/json_value.hpp"
#include "sys/fd.hpp"

namespace berth::isolate {
namespace {

using sys::SeccompAction;

constexpr SeccompContext kContext{
    .capabilities = 0, .architecture = "amd64", .kernel_major = 6, .kernel_minor = 1};

Result<sys::SeccompProfile> parse(const std::string& text, const SeccompContext& context = kContext) {
  const Json json = TRY(parse_json(text, "profile"));
  return parse_seccomp_profile(JsonView(json, "seccomp"), context);
}

constexpr int kKilled = 1000;  // above any errno

// Runs `call` in a child under the filter: 0, its errno, or kKilled + signal.
int under(const sys::SeccompProgram& program, const std::function<long()>& call) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || sys::install_seccomp(program) != 0) ::_exit(255);
    ::_exit(call() < 0 ? errno : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? kKilled + WTERMSIG(status) : WEXITSTATUS(status);
}

int under_default(const std::function<long()>& call,
                  sys::CapabilityMask capabilities = sys::default_capabilities()) {
  static std::map<sys::CapabilityMask, sys::SeccompProgram> programs;
  if (!programs.contains(capabilities)) {
    auto program = sys::compile_seccomp(default_seccomp_profile(capabilities));
    EXPECT_TRUE(program) << program.error().message;
    programs[capabilities] = *std::move(program);
  }
  return under(programs[capabilities], call);
}

long try_keyctl() { return ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0); }
long try_mount() { return ::mount("none", "/nonexistent-target", "tmpfs", 0, nullptr); }
long try_user_namespace() {
  const long pid = ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) ::_exit(0);
  return pid;
}
long try_fork() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  return pid < 0 || ::waitpid(pid, nullptr, 0) < 0 ? -1 : 0;
}

TEST(DefaultSeccomp, RefusesWhatReachesTheHost) {
  EXPECT_EQ(under_default(try_keyctl), EPERM);
  EXPECT_EQ(under_default(try_mount), EPERM);
  EXPECT_EQ(under_default(try_user_namespace), EPERM);
  EXPECT_EQ(under_default([] { return ::unshare(CLONE_NEWNS); }), EPERM);
  EXPECT_EQ(under_default([] { return ::setns(0, 0); }), EPERM);
  EXPECT_EQ(under_default([] { return ::syscall(SYS_bpf, 0, nullptr, 0); }), EPERM);
  EXPECT_EQ(under_default([] { return ::syscall(SYS_perf_event_open, nullptr, 0, 0, -1, 0); }), EPERM);
  EXPECT_EQ(under_default([] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0); }), EPERM);
  EXPECT_EQ(under_default([] { return ::syscall(SYS_init_module, nullptr, 0, ""); }), EPERM);
  EXPECT_EQ(under_default([] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }), EPERM);
  EXPECT_EQ(under_default([] { return ::syscall(SYS_userfaultfd, 0); }), EPERM);
  EXPECT_EQ(under_default([] { return ::syscall(SYS_open_by_handle_at, -1, nullptr, 0); }), EPERM);
  EXPECT_EQ(under_default([] { return ::socket(AF_VSOCK, SOCK_STREAM, 0); }), EPERM);
  EXPECT_EQ(under_default([] { return ::personality(ADDR_NO_RANDOMIZE); }), EPERM);
}

TEST(DefaultSeccomp, LetsOrdinaryProgramsWork) {
  EXPECT_EQ(under_default(try_fork), 0);
  EXPECT_EQ(under_default([] { return ::open("/dev/null", O_RDONLY); }), 0);
  EXPECT_EQ(under_default([] { return ::socket(AF_UNIX, SOCK_STREAM, 0); }), 0);
  EXPECT_EQ(under_default([] { return ::personality(0xffffffff); }), 0);
  EXPECT_EQ(under_default([] { return ::ptrace(PTRACE_TRACEME, 0, 0, 0); }), 0);
  EXPECT_EQ(under_default([] { return ::syscall(SYS_memfd_create, "m", 0); }), 0);
  EXPECT_EQ(under_default([] { return ::chroot("/"); }), ::geteuid() == 0 ? 0 : EPERM);
}

TEST(DefaultSeccomp, WhatLibrariesProbeForLooksAbsent) {
  EXPECT_EQ(under_default([] { return ::syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
  EXPECT_EQ(under_default([] { return ::syscall(999); }), ENOSYS);                // newer than libseccomp
  EXPECT_EQ(under_default([] { return ::syscall(0x40000000L + 999); }), ENOSYS);  // the same in x32
}

TEST(DefaultSeccomp, CapabilitiesUnlockTheirCalls) {
  const auto with = [](std::string_view name) { return sys::capability_bit(*sys::capability_number(name)); };
  EXPECT_EQ(under_default(try_mount, with("SYS_ADMIN")), ::geteuid() == 0 ? ENOENT : EPERM);
  EXPECT_EQ(under_default([] { return ::syscall(SYS_clone3, nullptr, 0); }, with("SYS_ADMIN")), EINVAL);
  EXPECT_EQ(under_default([] { return ::chroot("/"); }, with("KILL")), EPERM);
  EXPECT_EQ(
      under_default([] { return ::syscall(SYS_open_by_handle_at, -1, nullptr, 0); }, with("DAC_READ_SEARCH")),
      ::geteuid() == 0 ? EFAULT : EPERM);
}

// i386 code in a 64-bit program: int 0x80 with i386's numbers.
long i386_call(long number) {
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(0), "c"(0), "d"(0)
               : "memory", "r8", "r9", "r10", "r11");
  errno = result < 0 ? static_cast<int>(-result) : 0;
  return result < 0 ? -1 : result;
}

constexpr long kI386Getpid = 20;

bool runs_i386() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(i386_call(kI386Getpid) == ::getpid() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0;
}

TEST(DefaultSeccomp, CoversThe32BitCalls) {
  constexpr long kMount = 21;
  if (!runs_i386()) GTEST_SKIP() << "this kernel does not run i386 system calls";
  EXPECT_EQ(under_default([] { return i386_call(kI386Getpid); }), 0);
  EXPECT_EQ(under_default([] { return i386_call(kMount); }), EPERM);
  EXPECT_EQ(under_default([] { return i386_call(999); }), ENOSYS);
}

TEST(SeccompProfile, ReadsAnOciProfile) {
  const auto profile = parse(R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
    "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "syscalls": [{"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 33},
                 {"name": "getppid", "action": "SCMP_ACT_ERRNO"},
                 {"names": ["setsid"], "action": "SCMP_ACT_KILL_PROCESS"},
                 {"names": ["dup2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7,
                  "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 9, "op": "SCMP_CMP_GE"}]},
                 {"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}]})");
  ASSERT_TRUE(profile) << profile.error().message;
  const auto program = sys::compile_seccomp(*profile);
  ASSERT_TRUE(program) << program.error().message;
  EXPECT_EQ(under(*program, [] { return ::syscall(SYS_getpid); }), 33);
  EXPECT_EQ(under(*program, [] { return ::syscall(SYS_getppid); }), EPERM);
  EXPECT_EQ(under(*program, [] { return ::syscall(SYS_setsid); }), kKilled + SIGSYS);
  EXPECT_EQ(under(*program, [] { return ::dup2(2, 9); }), 7);
  EXPECT_EQ(under(*program, [] { return ::dup2(2, 8); }), 0);
  EXPECT_EQ(under(*program, [] { return ::dup2(1, 9); }), 0);
}

TEST(SeccompProfile, ConditionsDecideWhichRulesCount) {
  const std::string text = R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
                {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}],
    "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                 {"names": ["b"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390"]}},
                 {"names": ["c"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}, "comment": "x"},
                 {"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
                 {"names": ["e"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm", "amd64"]}, "args": null}]})";
  const auto names = [&](const SeccompContext& context) {
    std::string all;
    const auto profile = parse(text, context);
    if (!profile) return profile.error().message;
    for (const sys::SeccompRule& rule : profile->rules) all += rule.names[0];
    return all;
  };
  EXPECT_EQ(names(kContext), "bce");
  SeccompContext admin = kContext;
  admin.capabilities = sys::capability_bit(21);
  EXPECT_EQ(names(admin), "ace");
  const auto profile = parse(text);
  EXPECT_EQ(profile->architectures,
            (std::vector<std::string>{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"}));
  EXPECT_EQ(profile->fallback.data, 38);
}

TEST(SeccompProfile, ErrorsNameTheField) {
  const auto message = [](const std::string& text) {
    const auto profile = parse(text);
    return profile ? std::string("accepted") : profile.error().message;
  };
  const std::string begin = R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [)";
  EXPECT_TRUE(message("{}").starts_with("seccomp.defaultAction: missing"));
  EXPECT_TRUE(
      message(R"({"defaultAction": "ALLOW"})").starts_with("seccomp.defaultAction: \"ALLOW\" is not known"));
  EXPECT_TRUE(
      message(R"({"defaultAction": "SCMP_ACT_NOTIFY"})").starts_with("seccomp: SCMP_ACT_NOTIFY needs"));
  EXPECT_TRUE(message(R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"})")
                  .starts_with("seccomp.listenerMetadata: must not"));
  EXPECT_TRUE(message(R"({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1})")
                  .starts_with("seccomp.defaultErrnoRet: SCMP_ACT_ALLOW takes no errno"));
  EXPECT_TRUE(message(begin + R"({"names": ["x"], "action": "SCMP_ACT_KILL", "errnoRet": 1}]})")
                  .starts_with("seccomp.syscalls[0].errnoRet: SCMP_ACT_KILL takes no errno"));
  EXPECT_TRUE(message(begin + R"({"names": [], "action": "SCMP_ACT_LOG"}]})")
                  .starts_with("seccomp.syscalls[0]: names"));
  EXPECT_TRUE(message(begin + R"({"names": ["x"]}]})").starts_with("seccomp.syscalls[0].action: missing"));
  EXPECT_TRUE(message(begin + R"({"names": ["x"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5000}]})")
                  .starts_with("seccomp.syscalls[0].errnoRet"));
  EXPECT_TRUE(message(begin + R"({"names": ["x"], "action": "SCMP_ACT_LOG",
                      "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]})")
                  .starts_with("seccomp.syscalls[0].args[0].index"));
  EXPECT_TRUE(message(R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["PDP11"]})")
                  .starts_with("seccomp.architectures[0]"));
  EXPECT_TRUE(
      message(R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]})").starts_with("seccomp.flags[0]"));
}

// The operators, each with what it must catch of dup2's second argument and what it must let through.
TEST(SeccompProfile, EachOperatorCompares) {
  struct Case {
    const char* condition;
    std::vector<int> caught;
    std::vector<int> passed;
  };
  const std::vector<Case> cases = {
      {R"("value": 100, "op": "SCMP_CMP_NE")", {99, 101}, {100}},
      {R"("value": 100, "op": "SCMP_CMP_LT")", {98, 99}, {100, 101}},
      {R"("value": 100, "op": "SCMP_CMP_LE")", {99, 100}, {101}},
      {R"("value": 100, "op": "SCMP_CMP_EQ")", {100}, {99, 101}},
      {R"("value": 100, "op": "SCMP_CMP_GE")", {100, 101}, {99}},
      {R"("value": 100, "op": "SCMP_CMP_GT")", {101, 102}, {100}},
      {R"("value": 12, "valueTwo": 8, "op": "SCMP_CMP_MASKED_EQ")", {88, 89, 91}, {100, 92, 96}},
  };
  for (const Case& row : cases) {
    const auto profile = parse(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["dup2"],
      "action": "SCMP_ACT_ERRNO", "errnoRet": 7, "args": [{"index": 1, )" +
                               std::string(row.condition) + "}]}]}");
    ASSERT_TRUE(profile) << profile.error().message;
    const auto program = sys::compile_seccomp(*profile);
    ASSERT_TRUE(program) << program.error().message;
    for (const int fd : row.caught)
      EXPECT_EQ(under(*program, [&] { return ::dup2(2, fd); }), 7) << row.condition << fd;
    for (const int fd : row.passed)
      EXPECT_EQ(under(*program, [&] { return ::dup2(2, fd); }), 0) << row.condition << fd;
  }
}

TEST(SeccompProfile, EachActionActs) {
  const auto with = [](const char* action, const char* flags) {
    const auto profile = parse(fmt::format(R"({{"defaultAction": "SCMP_ACT_ALLOW", "flags": [{}],
      "syscalls": [{{"names": ["getppid"], "action": "{}"}}]}})",
                                           flags, action));
    EXPECT_TRUE(profile) << profile.error().message;
    const auto program = sys::compile_seccomp(*profile);
    EXPECT_TRUE(program) << program.error().message;
    return under(*program, [] { return ::syscall(SYS_getppid); });
  };
  EXPECT_EQ(with("SCMP_ACT_KILL", ""), kKilled + SIGSYS);
  EXPECT_EQ(with("SCMP_ACT_KILL_THREAD", ""), kKilled + SIGSYS);
  EXPECT_EQ(with("SCMP_ACT_KILL_PROCESS", ""), kKilled + SIGSYS);
  EXPECT_EQ(with("SCMP_ACT_TRAP", ""), kKilled + SIGSYS);
  EXPECT_EQ(with("SCMP_ACT_ERRNO", ""), EPERM);
  EXPECT_EQ(with("SCMP_ACT_TRACE", ""), ENOSYS);  // nobody traces
  EXPECT_EQ(with("SCMP_ACT_LOG", R"("SECCOMP_FILTER_FLAG_LOG")"), 0);
  EXPECT_EQ(with("SCMP_ACT_ERRNO", R"("SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW")"),
            EPERM);
  EXPECT_EQ(with("SCMP_ACT_ERRNO", R"("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")"), EPERM);
}

TEST(SeccompProfile, ArchitecturesOfOtherMachinesAreTaken) {
  std::string all;
  for (const auto name : sys::seccomp_architectures())
    all += fmt::format("{}\"{}\"", all.empty() ? "" : ",", name);
  const auto profile =
      parse(R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": [)" + all +
            R"(], "syscalls": [{"names": ["getppid", "exit_group"], "action": "SCMP_ACT_ALLOW"}]})");
  ASSERT_TRUE(profile) << profile.error().message;
  const auto program = sys::compile_seccomp(*profile);
  ASSERT_TRUE(program) << program.error().message;
  EXPECT_EQ(under(*program, [] { return ::syscall(SYS_getppid); }), 0);
  EXPECT_EQ(under(*program, [] { return ::syscall(SYS_getuid); }), EPERM);
}

TEST(SeccompProfile, WordsOfTheSpecification) {
  const SeccompWords words = seccomp_words();
  EXPECT_EQ(words.actions.size(), 9U);
  EXPECT_EQ(words.operators.size(), 7U);
  EXPECT_EQ(words.flags, words.supported_flags);  // Linux 5.19
}

TEST(SeccompProfile, PodmansOwnFile) {
  const auto text = sys::read_file("/usr/share/containers/seccomp.json");
  if (!text) GTEST_SKIP() << "golang-github-containers-common is not installed: " << text.error().message;
  const auto profile = seccomp_profile_for(*text, sys::default_capabilities());
  ASSERT_TRUE(profile) << profile.error().message;
  const auto program = sys::compile_seccomp(*profile);
  ASSERT_TRUE(program) << program.error().message;
  EXPECT_EQ(under(*program, [] { return ::syscall(SYS_kexec_load, 0, 0, nullptr, 0); }), EPERM);
  EXPECT_EQ(under(*program, try_fork), 0);
  EXPECT_EQ(under(*program, [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }), EPERM);
}

}  // namespace
}  // namespace berth::isolate
