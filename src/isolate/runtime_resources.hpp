// linux.resources of the OCI runtime specification (config-linux.md, "Control groups"): read, and turned into
// the files of cgroup v1 or v2.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "sys/cgroup.hpp"

namespace berth::isolate {

// Bytes; -1 is unlimited.
using ByteLimit = std::optional<std::int64_t>;

struct CpuResources {
  std::optional<std::uint64_t> shares;
  std::optional<std::int64_t> quota_us;  // -1: none
  std::optional<std::uint64_t> period_us;
  std::optional<std::uint64_t> burst_us;
  std::optional<std::int64_t> realtime_runtime_us;
  std::optional<std::uint64_t> realtime_period_us;
  std::string cpus;
  std::string mems;
  std::optional<std::int64_t> idle;
};

struct MemoryResources {
  ByteLimit limit;
  ByteLimit reservation;
  ByteLimit swap;  // memory and swap together
  ByteLimit kernel;
  ByteLimit kernel_tcp;
  std::optional<std::uint64_t> swappiness;
  bool disable_oom_killer = false;
  bool use_hierarchy = false;
  bool check_before_update = false;
};

struct DeviceValue {
  std::string device;  // "8:0"
  std::uint64_t value = 0;
};

struct BlockIoResources {
  std::optional<std::uint64_t> weight;
  std::optional<std::uint64_t> leaf_weight;
  std::vector<DeviceValue> device_weights;
  std::vector<DeviceValue> device_leaf_weights;
  std::vector<DeviceValue> read_bps, write_bps, read_iops, write_iops;
};

struct RdmaLimit {
  std::string device;
  std::optional<std::uint64_t> handles;
  std::optional<std::uint64_t> objects;
};

struct RuntimeResources {
  CpuResources cpu;
  MemoryResources memory;
  std::optional<std::int64_t> pids;  // none or less: unlimited
  BlockIoResources block_io;
  std::vector<std::pair<std::string, std::uint64_t>> hugepages;  // "2MB", bytes
  std::optional<std::uint32_t> network_class;
  std::vector<std::pair<std::string, std::uint64_t>> network_priorities;  // interface
  std::vector<RdmaLimit> rdma;
  std::vector<std::pair<std::string, std::string>> unified;
  std::vector<sys::DeviceRule> devices;
};

// Errors name the field. `view` is the resources object; members that are absent or null stay unset.
Result<RuntimeResources> parse_runtime_resources(const JsonView& view);

// What a group holds before the change: some files limit two things together.
using ReadGroupFile =
    std::function<Result<std::optional<std::string>>(std::string_view controller, const std::string& file)>;

// In the order in which they must be written. InvalidArgument or FailedPrecondition name the field that makes
// no sense, or that the cgroup version has no word for. Conversions as runc and crun do them:
// shares 2..262144 to weight 1..10000, block I/O weight 10..1000 to 1..10000, swap without memory.
Result<std::vector<sys::CgroupSetting>> runtime_v1_settings(const RuntimeResources& wanted,
                                                            const ReadGroupFile& read);
Result<std::vector<sys::CgroupSetting>> runtime_v2_settings(const RuntimeResources& wanted,
                                                            const ReadGroupFile& read);

// "mlx5_1 hca_handle=3 hca_object=100", for both versions.
std::string rdma_line(const RdmaLimit& limit);

// Writes all but the device rules, which hold from the start: they are Cgroup::set_devices()'s.
Result<void> apply_runtime_resources(sys::Cgroup& group, const RuntimeResources& wanted);

// Where cgroupsPath leads, relative to the hosts' groups: "/a/b" and "a/b" are "a/b"; "" is
// "`fallback`/`id`". "slice:prefix:name" is the systemd manager's (is_systemd_path). InvalidArgument for a
// path with "..".
Result<std::string> cgroup_path_of(const std::string& cgroups_path, const std::string& fallback,
                                   const std::string& id);
bool is_systemd_path(const std::string& cgroups_path);

}  // namespace berth::isolate
