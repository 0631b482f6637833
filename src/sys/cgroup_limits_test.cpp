#include "sys/cgroup_limits.hpp"

#include <gtest/gtest.h>

#include "sys/cgroup_stats.hpp"

namespace berth::sys {
namespace {

using Settings = std::vector<CgroupSetting>;

// "file=value" of each, in order.
std::vector<std::string> written(const Result<Settings>& settings) {
  std::vector<std::string> lines;
  if (!settings) return {settings.error().message};
  for (const CgroupSetting& setting : *settings) lines.push_back(setting.file + "=" + setting.value);
  return lines;
}
std::vector<std::string> v1(const Resources& resources, IoWeighing weighing = IoWeighing::None) {
  return written(v1_settings(resources, weighing));
}
std::vector<std::string> v2(const Resources& resources, IoWeighing weighing = IoWeighing::None) {
  return written(v2_settings(resources, weighing));
}
using Lines = std::vector<std::string>;

TEST(CgroupLimits, NothingAskedNothingWritten) {
  EXPECT_TRUE(v1({}).empty());
  EXPECT_TRUE(v2({}).empty());
}

TEST(CgroupLimits, Cpus) {
  Resources half{.cpus = 0.5};
  EXPECT_EQ(v1(half), (Lines{"cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000"}));
  EXPECT_EQ(v2(half), (Lines{"cpu.max=50000 100000"}));
  EXPECT_EQ(v2({.cpus = 0.01}), (Lines{"cpu.max=1000 100000"}));
  EXPECT_EQ(v2({.cpus = 1.29}), (Lines{"cpu.max=129000 100000"}));
  EXPECT_EQ(v1({.cpus = 0.001})[1], "cpu.cfs_quota_us=1000");  // the kernel's least
}

TEST(CgroupLimits, CpuWeightsKeepTheirRatio) {
  EXPECT_EQ(v1({.cpu_weight = 100}), (Lines{"cpu.shares=1024"}));
  EXPECT_EQ(v1({.cpu_weight = 300}), (Lines{"cpu.shares=3072"}));
  EXPECT_EQ(v1({.cpu_weight = 10000}), (Lines{"cpu.shares=102400"}));
  EXPECT_EQ(v1({.cpu_weight = 1}), (Lines{"cpu.shares=10"}));
  EXPECT_EQ(v2({.cpu_weight = 300}), (Lines{"cpu.weight=300"}));
}

TEST(CgroupLimits, Memory) {
  const Resources both{.memory_bytes = 1 << 20, .swap_bytes = 4096};
  EXPECT_EQ(v1(both), (Lines{"memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=1048576",
                             "memory.memsw.limit_in_bytes=1052672"}));
  EXPECT_EQ(v2(both), (Lines{"memory.max=1048576", "memory.swap.max=4096"}));
  EXPECT_EQ(v1({.memory_bytes = 1 << 20}), (Lines{"memory.limit_in_bytes=1048576"}));
  EXPECT_EQ(v1({.memory_low_bytes = 8192}), (Lines{"memory.soft_limit_in_bytes=8192"}));
  EXPECT_EQ(v2({.memory_low_bytes = 8192}), (Lines{"memory.low=8192"}));
}

TEST(CgroupLimits, V1KeepsTheHalfThatIsNotGiven) {
  const V1MemoryBefore before{.memory_bytes = 1000, .memory_swap_bytes = 1500};
  EXPECT_EQ(with_memory_kept({.memory_bytes = 3000}, before)->swap_bytes, 500U);
  EXPECT_EQ(with_memory_kept({.swap_bytes = 7}, before)->memory_bytes, 1000U);
  EXPECT_FALSE(with_memory_kept({.memory_bytes = 3000}, {.memory_bytes = 1000})->swap_bytes);
  const auto alone = with_memory_kept({.swap_bytes = 7}, {});
  ASSERT_FALSE(alone);
  EXPECT_NE(alone.error().message.find("--swap"), std::string::npos);
}

TEST(CgroupLimits, IoMax) {
  const Resources resources{.io_max = {{.device = "7:1", .read_bps = 1000, .write_iops = 20}}};
  EXPECT_EQ(v1(resources),
            (Lines{"blkio.throttle.read_bps_device=7:1 1000", "blkio.throttle.write_bps_device=7:1 0",
                   "blkio.throttle.read_iops_device=7:1 0", "blkio.throttle.write_iops_device=7:1 20"}));
  EXPECT_EQ(v2(resources), (Lines{"io.max=7:1 rbps=1000 wbps=max riops=max wiops=20"}));
}

TEST(CgroupLimits, IoWeightNeedsADiskSchedulerThatKeepsIt) {
  const Resources resources{.io_weight = 250};
  EXPECT_EQ(v1(resources, IoWeighing::Bfq), (Lines{"blkio.bfq.weight=250"}));
  EXPECT_EQ(v2(resources, IoWeighing::Bfq), (Lines{"io.bfq.weight=250"}));
  EXPECT_EQ(v2(resources, IoWeighing::Cost), (Lines{"io.weight=default 250"}));
  const auto refused = v1_settings(resources, IoWeighing::None);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  EXPECT_TRUE(refused.error().message.starts_with("--io-weight: no disk scheduler of this machine"))
      << refused.error().message;
  EXPECT_FALSE(v1_settings({.io_weight = 1001}, IoWeighing::Bfq));
  EXPECT_TRUE(v2_settings({.io_weight = 10000}, IoWeighing::Cost));
}

TEST(CgroupLimits, DeviceLines) {
  EXPECT_EQ(v1_device_line({.allow = false}), "a");
  EXPECT_EQ(v1_device_line({.allow = true, .type = 'c', .major = 1, .minor = 3, .access = "rw"}), "c 1:3 rw");
  EXPECT_EQ(v1_device_line({.allow = true, .type = 'b', .access = "m"}), "b *:* m");
  EXPECT_EQ(v1_device_line({.allow = true, .type = 'c', .major = 136}), "c 136:* rwm");
}

TEST(CgroupStats, Parsers) {
  CgroupStats stats;
  add_v1_io("8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n7:0 Read 1\nTotal 31\n", stats);
  EXPECT_EQ(stats.io_read_bytes, 11U);
  EXPECT_EQ(stats.io_write_bytes, 20U);
  CgroupStats second;
  add_v2_io("8:0 rbytes=5 wbytes=6 rios=1 wios=1 dbytes=9 dios=0\n7:1 rbytes=1 wbytes=2\n", second);
  EXPECT_EQ(second.io_read_bytes, 6U);
  EXPECT_EQ(second.io_write_bytes, 8U);
  EXPECT_EQ(flat_value("oom 1\noom_kill 3\n", "oom_kill"), 3U);
  EXPECT_EQ(flat_value("oom_kill_disable 0\noom_kill 2", "oom_kill"), 2U);
  EXPECT_FALSE(flat_value("a 1\n", "b"));
}

}  // namespace
}  // namespace berth::sys
