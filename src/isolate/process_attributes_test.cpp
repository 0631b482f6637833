// The steps run in a child of this test, where their effect is then read from the kernel.
#include "isolate/process_attributes.hpp"

#include <gtest/gtest.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <functional>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "isolate/kernel_settings.hpp"
#include "sys/fd.hpp"

namespace berth::isolate {
namespace {

constexpr int kWrong = 255;

// 0 where all steps and `check` are well; a step's errno else.
int run(const std::function<void(LaunchPlan&)>& fill, const std::function<bool()>& check,
        int namespaces = 0) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    LaunchPlan plan;
    fill(plan);
    if (namespaces != 0 && ::unshare(namespaces) != 0) ::_exit(254);
    for (const auto* steps : {&plan.setup, &plan.lockdown}) {
      for (const auto& step : *steps) {
        if (const int error = step->run({}); error != 0) ::_exit(error);
      }
    }
    ::_exit(check() ? 0 : kWrong);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

Result<ProcessAttributes> parse(const char* text) {
  const Json json = TRY(parse_json(text, "process"));
  return parse_process_attributes(JsonView(json, "process"));
}

TEST(ProcessAttributes, AreReadAndTakeEffect) {
  const auto attributes =
      parse(R"({"scheduler": {"policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
    "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 3}, "execCPUAffinity": {"initial": "0-1", "final": "0"},
    "oomScoreAdj": 300, "apparmorProfile": "", "selinuxLabel": null})");
  ASSERT_TRUE(attributes) << attributes.error().message;
  EXPECT_EQ(attributes->oom_score_adj, 300);
  EXPECT_EQ(CPU_COUNT(&*attributes->initial_cpus), 2);
  EXPECT_EQ(run([&](LaunchPlan& plan) { add_process_attributes(plan, *attributes); },
                [] {
                  cpu_set_t set;
                  ::sched_getaffinity(0, sizeof set, &set);
                  const auto now = sys::get_scheduling();
                  return now->policy == 3 && now->nice == 5 && now->flags == 1 && CPU_COUNT(&set) == 1 &&
                         ::syscall(SYS_ioprio_get, 1, 0) == (3 << 13 | 3);
                }),
            0);
}

TEST(ProcessAttributes, ErrorsNameTheField) {
  const auto message = [](const char* text) {
    const auto attributes = parse(text);
    return attributes ? std::string("accepted") : attributes.error().message;
  };
  EXPECT_TRUE(message(R"({"scheduler": {"policy": "SCHED_X"}})")
                  .starts_with("process.scheduler.policy: \"SCHED_X\""));
  EXPECT_TRUE(message(R"({"scheduler": {"policy": "SCHED_OTHER", "priority": 5}})")
                  .starts_with("process.scheduler: priority"));
  EXPECT_TRUE(message(R"({"scheduler": {"policy": "SCHED_OTHER", "nice": 50}})")
                  .starts_with("process.scheduler.nice"));
  EXPECT_TRUE(message(R"({"scheduler": {"policy": "SCHED_OTHER", "flags": ["X"]}})")
                  .starts_with("process.scheduler.flags[0]"));
  EXPECT_TRUE(message(R"({"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}})")
                  .starts_with("process.ioPriority.priority"));
  EXPECT_TRUE(
      message(R"({"execCPUAffinity": {"initial": "x"}})").starts_with("process.execCPUAffinity.initial"));
  EXPECT_TRUE(message(R"({"oomScoreAdj": 1001})").starts_with("process.oomScoreAdj"));
  if (!sys::exists("/sys/fs/selinux/enforce")) {
    EXPECT_TRUE(message(R"({"selinuxLabel": "a:b:c"})")
                    .starts_with("process.selinuxLabel: this kernel does not have"));
  }
  if (!sys::exists("/sys/module/apparmor")) {
    EXPECT_TRUE(message(R"({"apparmorProfile": "x"})")
                    .starts_with("process.apparmorProfile: this kernel does not have"));
    EXPECT_EQ(message(R"({"apparmorProfile": "unconfined"})"), "accepted");
  }
}

TEST(ProcessAttributes, PersonalityShows) {
  const Json json = *parse_json(R"({"personality": {"domain": "LINUX32"}})", "linux");
  const auto personality = parse_personality(JsonView(json, "linux"));
  ASSERT_TRUE(personality && *personality);
  EXPECT_EQ(run([&](LaunchPlan& plan) { add_personality(plan, **personality); },
                [] {
                  utsname names{};
                  ::uname(&names);
                  return std::string_view(names.machine) == "i686";
                }),
            0);
  const Json odd = *parse_json(R"({"personality": {"domain": "BSD"}})", "linux");
  EXPECT_TRUE(
      parse_personality(JsonView(odd, "linux")).error().message.starts_with("linux.personality.domain"));
}

TEST(ProcessAttributes, TheKeyringIsAnother) {
  const auto session = [] {
    return ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  };
  const long before = session();
  if (before < 0) GTEST_SKIP() << "this kernel offers no keys here (errno " << errno << ")";
  EXPECT_EQ(run([](LaunchPlan& plan) { add_session_keyring(plan, "unit-1"); },
                [&] {
                  std::array<char, 128> text{};
                  ::syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text.data(), text.size());
                  return session() != before && std::string_view(text.data()).ends_with("_ses.unit-1");
                }),
            0);
}

TEST(ProcessAttributes, ClocksOfATimeNamespaceDiffer) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes time namespaces";
  const Json json = *parse_json(
      R"({"timeOffsets": {"monotonic": {"secs": 86400, "nanosecs": 5}, "boottime": {"secs": 100000}}})",
      "linux");
  const auto offsets = parse_time_offsets(JsonView(json, "linux"));
  ASSERT_TRUE(offsets) << offsets.error().message;
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  EXPECT_EQ(run([&](LaunchPlan& plan) { add_time_namespace(plan, *offsets); },
                [&] {
                  // In effect for children, as after exec.
                  const pid_t pid = ::fork();
                  if (pid == 0) {
                    timespec then{};
                    ::clock_gettime(CLOCK_BOOTTIME, &then);
                    ::_exit(then.tv_sec - now.tv_sec >= 100000 ? 0 : 1);
                  }
                  int status = 0;
                  ::waitpid(pid, &status, 0);
                  return status == 0;
                }),
            0);
  const Json odd = *parse_json(R"({"timeOffsets": {"realtime": {"secs": 1}}})", "linux");
  EXPECT_TRUE(
      parse_time_offsets(JsonView(odd, "linux")).error().message.starts_with("linux.timeOffsets.realtime"));
}

TEST(ProcessAttributes, OomScoreGoesUpAndMayNotComeDown) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  const auto raised = sys::set_oom_score_adjustment(pid, 500);
  EXPECT_TRUE(raised) << raised.error().message;
  EXPECT_EQ(*sys::oom_score_adjustment(pid), 500);
  const auto lowered = sys::set_oom_score_adjustment(pid, -900);
  if (!lowered) {
    EXPECT_EQ(lowered.error().code, Code::PermissionDenied);
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

TEST(ProcessAttributes, Umask) {
  EXPECT_EQ(run([](LaunchPlan& plan) { add_umask(plan, 0137); }, [] { return ::umask(0) == 0137; }), 0);
}

TEST(KernelSettings, SysctlsAreWrittenInTheirNamespaceOnly) {
  LaunchPlan unused;
  const SysctlScope network{.network = true};
  for (const char* key : {"kernel.msgmax", "kernel.hostname", "vm.swappiness", "fs.mqueue.msg_max"})
    EXPECT_TRUE(add_sysctl(unused, key, "1", network, "linux.sysctl")
                    .error()
                    .message.starts_with("linux.sysctl " + std::string(key)));
  for (const char* key : {"net", "net..x", "net/../kernel/hostname", "", "/net/x"})
    EXPECT_FALSE(add_sysctl(unused, key, "1", network, "x")) << key;
  EXPECT_TRUE(unused.setup.empty());
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes network namespaces";
  const auto forwarding = [](const char* key) {
    return run([key](LaunchPlan& plan) { EXPECT_TRUE(add_sysctl(plan, key, "1", {.network = true}, "x")); },
               [] { return trim(*sys::read_file("/proc/sys/net/ipv4/ip_forward")) == "1"; }, CLONE_NEWNET);
  };
  EXPECT_EQ(forwarding("net.ipv4.ip_forward"), 0);
  EXPECT_EQ(forwarding("net/ipv4/ip_forward"), 0);
  EXPECT_EQ(forwarding("net.ipv4.no_such_thing"), ENOENT);
}

// A root directory whose /proc is not one.
TEST(KernelSettings, OnlyAProcfsIsWrittenTo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root mounts";
  EXPECT_EQ(run(
                [](LaunchPlan& plan) {
                  plan.then("cover", []() noexcept {
                    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
                    return ::mount("tmpfs", "/proc", "tmpfs", 0, nullptr) == 0 &&
                                   ::mkdir("/proc/sys", 0755) == 0
                               ? 0
                               : errno;
                  });
                  EXPECT_TRUE(add_sysctl(plan, "net.ipv4.ip_forward", "1", {.network = true}, "x"));
                },
                [] { return true; }, CLONE_NEWNET | CLONE_NEWNS),
            EXDEV);
}

}  // namespace
}  // namespace berth::isolate
