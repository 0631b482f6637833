#include "isolate/runtime_stats.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json_value.hpp"
#include "base/text.hpp"

namespace berth::isolate {
namespace {

TEST(RuntimeStats, FiguresOfARealGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes control groups here";
  const auto host = *sys::CgroupHost::probe();
  for (const char* controller : {"cpu", "memory", "pids"}) {
    if (!host.why_not(controller).empty()) GTEST_SKIP() << host.why_not(controller);
  }
  auto group =
      *sys::Cgroup::create(host, "berth-test/" + random_hex(8), {.memory_bytes = 64 << 20, .pids = 12});
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) asm volatile("");
  }
  ASSERT_TRUE(group->attach(pid));
  ::usleep(200000);
  const auto stats = runtime_stats(*group);
  EXPECT_TRUE(group->kill_all());
  ::waitpid(pid, nullptr, 0);
  ASSERT_TRUE(stats) << stats.error().message;
  const Json& all = *stats;
  EXPECT_GT(all["cpu"]["usage"]["total"].get<std::uint64_t>(), 1000000U);
  EXPECT_EQ(all["memory"]["usage"]["limit"], 64U << 20);
  EXPECT_TRUE(all["memory"]["raw"].size() > 5);
  EXPECT_EQ(all["pids"]["current"], 1);
  EXPECT_EQ(all["pids"]["limit"], 12);
  EXPECT_TRUE(all["blkio"]["ioServiceBytesRecursive"].is_array());
  for (const auto& hierarchy : host.v1) ::rmdir((hierarchy.base + "/berth-test").c_str());
  ::rmdir((host.v2_base + "/berth-test").c_str());
}

}  // namespace
}  // namespace berth::isolate
