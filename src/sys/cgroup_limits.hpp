// The mapping of Resources to the files of either cgroup version: values in, values out, nothing touched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/cgroup.hpp"
#include "sys/cgroup_dir.hpp"

namespace berth::sys {

// Which scheduler weighs the disks' requests of groups against each other.
enum class IoWeighing { None, Bfq, Cost };
// From the disks' queue/scheduler, and the root's io.cost.qos where `v2_mount` is given.
IoWeighing probe_io_weighing(const std::string& v2_mount);

// A v1 group's memory and memory+swap limit before the change; absent is unlimited.
struct V1MemoryBefore {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> memory_swap_bytes;
};

// v1 limits memory and swap together, so one cannot change without the other: fills in what is kept.
// InvalidArgument for swap without any limit of memory.
Result<Resources> with_memory_kept(Resources resources, const V1MemoryBefore& before);

// In the order in which they must be written. FailedPrecondition where `weighing` does not allow --io-weight.
// cpus: quota in a period of 100 ms (at least 1 ms). cpu_weight: shares of weight*1024/100, at least 2, so
// that ratios hold. memory_low: the soft limit. io_weight: bfq's own weight. Source: admin-guide/cgroup-v1.
Result<std::vector<CgroupSetting>> v1_settings(const Resources& resources, IoWeighing weighing);
// Source: admin-guide/cgroup-v2.
Result<std::vector<CgroupSetting>> v2_settings(const Resources& resources, IoWeighing weighing);

// "c 1:3 rwm"; "a" for everything. Source: admin-guide/cgroup-v1/devices.
std::string v1_device_line(const DeviceRule& rule);

}  // namespace berth::sys
