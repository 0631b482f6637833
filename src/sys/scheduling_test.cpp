#include "sys/scheduling.hpp"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace berth::sys {
namespace {

int in_child(const std::function<int()>& work) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(work());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

TEST(Scheduling, TheKernelTakesItOver) {
  const std::vector<Scheduling> all = {{.policy = *scheduling_policy("SCHED_BATCH"), .nice = 7},
                                       {.policy = *scheduling_policy("SCHED_IDLE")},
                                       {.policy = *scheduling_policy("SCHED_OTHER"),
                                        .nice = 3,
                                        .flags = *scheduling_flag("SCHED_FLAG_RESET_ON_FORK")}};
  for (const Scheduling& wanted : all) {
    EXPECT_EQ(in_child([&] {
                if (const int error = set_scheduling(wanted); error != 0) return error;
                return *get_scheduling() == wanted ? 0 : 255;
              }),
              0)
        << wanted.policy;
  }
}

TEST(Scheduling, RealTimeWhereTheMachineLetsIt) {
  const Scheduling fifo{.policy = *scheduling_policy("SCHED_FIFO"), .priority = 12};
  const int result = in_child([&] {
    if (const int error = set_scheduling(fifo); error != 0) return error;
    return *get_scheduling() == fifo ? 0 : 255;
  });
  if (result == EPERM)
    GTEST_SKIP() << "this machine grants no real-time scheduling (CAP_SYS_NICE, cpu.rt_runtime_us)";
  EXPECT_EQ(result, 0);
}

TEST(Scheduling, DiskPriorityAndProcessors) {
  EXPECT_EQ(in_child([] {
              if (const int error = set_io_priority({*io_priority_class("IOPRIO_CLASS_BE"), 6}); error != 0)
                return error;
              return ::syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6) ? 0 : 255;
            }),
            0);
  EXPECT_EQ(in_child([] {
              if (const int error = set_cpu_affinity(*parse_cpu_set("0")); error != 0) return error;
              cpu_set_t set;
              ::sched_getaffinity(0, sizeof set, &set);
              return CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set) ? 0 : 255;
            }),
            0);
}

TEST(Scheduling, WordsAndContradictionsAreRefused) {
  EXPECT_NE(scheduling_policy("SCHED_ISO").error().message.find("SCHED_BATCH"), std::string::npos);
  EXPECT_FALSE(scheduling_flag("x"));
  EXPECT_FALSE(io_priority_class("IOPRIO_CLASS_NONE"));
  EXPECT_FALSE(parse_cpu_set(""));
  EXPECT_FALSE(parse_cpu_set("5000"));
  EXPECT_FALSE(check_scheduling({.policy = 0, .priority = 5}));
  EXPECT_FALSE(check_scheduling({.policy = 1, .priority = 0}));
  EXPECT_FALSE(check_scheduling({.policy = 1, .priority = 100}));
  EXPECT_FALSE(check_scheduling({.policy = 0, .nice = 20}));
  EXPECT_FALSE(check_scheduling({.policy = 0, .runtime_ns = 1}));
  EXPECT_TRUE(check_scheduling({.policy = 6, .runtime_ns = 1, .deadline_ns = 2, .period_ns = 3}));
}

}  // namespace
}  // namespace berth::sys
