#include "isolate/runtime_resources.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "sys/fd.hpp"

namespace berth::isolate {
namespace {

using Lines = std::vector<std::string>;
using Files = std::map<std::string, std::string>;

Result<RuntimeResources> parse(const std::string& text) {
  const Json json = TRY(parse_json(text, "resources"));
  return parse_runtime_resources(JsonView(json, "linux.resources"));
}

ReadGroupFile group_with(const Files& files) {
  return [files](std::string_view, const std::string& file) -> Result<std::optional<std::string>> {
    const auto found = files.find(file);
    return found == files.end() ? std::optional<std::string>()
                                : std::optional<std::string>(found->second + "\n");
  };
}

// "file=value" of each in order, or the error.
Lines written(const std::string& text, bool v2, const Files& files) {
  const auto resources = parse(text);
  if (!resources) return {resources.error().message};
  const auto settings = v2 ? runtime_v2_settings(*resources, group_with(files))
                           : runtime_v1_settings(*resources, group_with(files));
  if (!settings) return {settings.error().message};
  Lines lines;
  for (const auto& setting : *settings) lines.push_back(setting.file + "=" + setting.value);
  return lines;
}
Lines v1(const std::string& text, const Files& files = {}) { return written(text, false, files); }
Lines v2(const std::string& text, const Files& files = {}) { return written(text, true, files); }

TEST(RuntimeResources, NothingAskedNothingWritten) {
  EXPECT_EQ(v1("{}"), Lines{});
  EXPECT_EQ(v2(R"({"cpu": {}, "memory": null, "blockIO": {"weight": 0}, "network": {"classID": 0}})"),
            Lines{});
  EXPECT_EQ(v1(R"({"cpu": {"shares": 0, "quota": 0}, "memory": {"limit": 0, "swap": 0, "kernel": 0}})"),
            Lines{});
}

TEST(RuntimeResources, Cpu) {
  const char* all =
      R"({"cpu": {"shares": 1024, "quota": 50000, "period": 200000, "burst": 1000, "cpus": "0-1",
                       "mems": "0", "idle": 0}})";
  EXPECT_EQ(v1(all), (Lines{"cpu.shares=1024", "cpu.cfs_period_us=200000", "cpu.cfs_quota_us=50000",
                            "cpu.cfs_burst_us=1000", "cpu.idle=0", "cpuset.cpus=0-1", "cpuset.mems=0"}));
  EXPECT_EQ(v2(all), (Lines{"cpu.idle=0", "cpu.weight=39", "cpu.max=50000 200000", "cpu.max.burst=1000",
                            "cpuset.cpus=0-1", "cpuset.mems=0"}));
  EXPECT_EQ(v2(R"({"cpu": {"shares": 2}})"), Lines{"cpu.weight=1"});
  EXPECT_EQ(v2(R"({"cpu": {"shares": 262144}})"), Lines{"cpu.weight=10000"});
  EXPECT_EQ(v2(R"({"cpu": {"quota": -1}})"), Lines{"cpu.max=max 100000"});
  EXPECT_EQ(v2(R"({"cpu": {"period": 50000}})", {{"cpu.max", "30000 100000"}}), Lines{"cpu.max=30000 50000"});
  EXPECT_EQ(v1(R"({"cpu": {"realtimeRuntime": 5000, "realtimePeriod": 10000}})"),
            (Lines{"cpu.rt_period_us=10000", "cpu.rt_runtime_us=5000"}));
  EXPECT_TRUE(v2(R"({"cpu": {"realtimeRuntime": 5}})")[0].starts_with(
      "linux.resources.cpu.realtimeRuntime: cgroup v2"));
}

TEST(RuntimeResources, MemoryAndSwap) {
  const char* both = R"({"memory": {"limit": 1000000, "swap": 1500000, "reservation": 500000}})";
  EXPECT_EQ(v1(both), (Lines{"memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=1000000",
                             "memory.memsw.limit_in_bytes=1500000", "memory.soft_limit_in_bytes=500000"}));
  EXPECT_EQ(v2(both), (Lines{"memory.swap.max=500000", "memory.max=1000000", "memory.low=500000"}));
  EXPECT_EQ(v2(R"({"memory": {"limit": 100, "swap": 100}})"), (Lines{"memory.swap.max=0", "memory.max=100"}));
  // Without swap accounting only a limit is refused, not its absence.
  EXPECT_EQ(v2(R"({"memory": {"limit": -1, "swap": -1}})"), Lines{"memory.max=max"});
  EXPECT_EQ(v2(R"({"memory": {"swap": 300}})", {{"memory.max", "100"}}), Lines{"memory.swap.max=200"});
  EXPECT_TRUE(
      v2(R"({"memory": {"swap": 300}})")[0].starts_with("linux.resources.memory.swap: counts memory"));
  // An update of memory alone keeps the swap there is.
  EXPECT_EQ(v1(R"({"memory": {"limit": 300}})",
               {{"memory.limit_in_bytes", "100"}, {"memory.memsw.limit_in_bytes", "150"}}),
            (Lines{"memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=300",
                   "memory.memsw.limit_in_bytes=350"}));
  EXPECT_EQ(v1(R"({"memory": {"limit": 4096}})"), Lines{"memory.limit_in_bytes=4096"});
}

TEST(RuntimeResources, OtherMemoryWords) {
  EXPECT_EQ(
      v1(R"({"memory": {"swappiness": 0, "disableOOMKiller": true, "useHierarchy": true, "kernelTCP": 5, "kernel": 1}})"),
      (Lines{"memory.kmem.tcp.limit_in_bytes=5", "memory.swappiness=0", "memory.use_hierarchy=1",
             "memory.oom_control=1"}));
  EXPECT_EQ(v2(R"({"memory": {"disableOOMKiller": false, "useHierarchy": true}})"), Lines{});
  for (const char* word : {"swappiness", "disableOOMKiller", "kernelTCP"}) {
    const std::string value = std::string_view(word) == "disableOOMKiller" ? "true" : "60";
    EXPECT_TRUE(v2(fmt::format(R"({{"memory": {{"{}": {}}}}})", word, value))[0].starts_with(
        fmt::format("linux.resources.memory.{}: cgroup v2", word)));
  }
  const char* checked = R"({"memory": {"limit": 1000, "checkBeforeUpdate": true}})";
  EXPECT_TRUE(v2(checked, {{"memory.current", "5000"}})[0].starts_with(
      "linux.resources.memory.limit: 1000 bytes are less"));
  EXPECT_EQ(v2(checked, {{"memory.current", "900"}}), Lines{"memory.max=1000"});
}

TEST(RuntimeResources, BlockIo) {
  const char* all = R"({"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
    "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}], "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]}})";
  EXPECT_EQ(v1(all),
            (Lines{"blkio.weight=500", "blkio.weight_device=8:0 10", "blkio.throttle.read_bps_device=8:0 600",
                   "blkio.throttle.write_iops_device=8:16 0"}));
  EXPECT_EQ(v1(all, {{"blkio.bfq.weight", "100"}})[1], "blkio.bfq.weight_device=8:0 10");
  EXPECT_EQ(v2(all), (Lines{"io.weight=default 4950", "io.weight=8:0 1", "io.max=8:0 rbps=600",
                            "io.max=8:16 wiops=max"}));
  EXPECT_EQ(v2(all, {{"io.bfq.weight", "default 100"}})[0], "io.bfq.weight=default 500");
  EXPECT_EQ(v1(R"({"blockIO": {"leafWeight": 10}})"), Lines{"blkio.leaf_weight=10"});
  EXPECT_TRUE(v2(R"({"blockIO": {"leafWeight": 10}})")[0].starts_with(
      "linux.resources.blockIO.leafWeight: cgroup v2"));
}

TEST(RuntimeResources, TheOthers) {
  const char* all = R"({"pids": {"limit": 7}, "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
    "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]},
    "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10}}})";
  EXPECT_EQ(v1(all, {{"hugetlb.2MB.rsvd.limit_in_bytes", "1"}}),
            (Lines{"pids.max=7", "hugetlb.2MB.limit_in_bytes=4194304",
                   "hugetlb.2MB.rsvd.limit_in_bytes=4194304", "net_cls.classid=1048577",
                   "net_prio.ifpriomap=eth0 5", "rdma.max=mlx5_1 hca_handle=3 hca_object=10"}));
  EXPECT_TRUE(v2(all)[0].starts_with("linux.resources.network.classID: cgroup v2"));
  EXPECT_EQ(
      v2(R"({"pids": {"limit": -1}, "unified": {"memory.high": "5", "io.max": "8:0 rbps=1\n8:16 wbps=2"}})"),
      (Lines{"pids.max=max", "io.max=8:0 rbps=1", "io.max=8:16 wbps=2", "memory.high=5"}));
  EXPECT_TRUE(
      v1(R"({"unified": {"memory.high": "5"}})")[0].starts_with("linux.resources.unified: memory.high"));
}

TEST(RuntimeResources, ErrorsNameTheField) {
  const auto refused = [](const std::string& text, const std::string& field) {
    const auto resources = parse(text);
    EXPECT_FALSE(resources) << text;
    if (!resources) {
      EXPECT_TRUE(resources.error().message.starts_with("linux.resources." + field))
          << resources.error().message;
    }
  };
  refused(R"({"cpu": {"quota": -2}})", "cpu.quota");
  refused(R"({"cpu": {"quota": 5, "burst": 6}})", "cpu.burst");
  refused(R"({"cpu": {"cpus": "x"}})", "cpu.cpus");
  refused(R"({"cpu": {"idle": 2}})", "cpu.idle");
  refused(R"({"memory": {"limit": 10, "swap": 5}})", "memory.swap");
  refused(R"({"memory": {"swappiness": 101}})", "memory.swappiness");
  refused(R"({"blockIO": {"weight": 5}})", "blockIO.weight");
  refused(R"({"blockIO": {"weightDevice": [{"major": 1, "minor": 2}]}})", "blockIO.weightDevice[0]");
  refused(R"({"hugepageLimits": [{"pageSize": "../x", "limit": 1}]})", "hugepageLimits[0].pageSize");
  refused(R"({"network": {"priorities": [{"name": "a b", "priority": 1}]}})", "network.priorities[0].name");
  refused(R"({"rdma": {"x": {}}})", "rdma.x");
  refused(R"({"unified": {"../memory.max": "1"}})", "unified");
  refused(R"({"devices": [{"allow": true, "type": "x"}]})", "devices[0].type");
  refused(R"({"devices": [{"allow": true, "access": "rx"}]})", "devices[0].access");
}

TEST(RuntimeResources, Paths) {
  EXPECT_EQ(*cgroup_path_of("/a/b", "berth", "x"), "a/b");
  EXPECT_EQ(*cgroup_path_of("a//./b/", "berth", "x"), "a/b");
  EXPECT_EQ(*cgroup_path_of("", "berth", "x"), "berth/x");
  EXPECT_EQ(*cgroup_path_of("/", "berth", "x"), "berth/x");
  EXPECT_FALSE(cgroup_path_of("/a/../../b", "berth", "x"));
  EXPECT_TRUE(is_systemd_path("machine.slice:libpod:abc"));
  EXPECT_FALSE(is_systemd_path("/a:b:c"));
}

// What this machine has, on a real group.
TEST(RuntimeResources, ReachTheKernelAndChange) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes control groups here";
  const auto host = *sys::CgroupHost::probe();
  for (const char* controller : {"cpu", "memory", "pids", "cpuset"}) {
    if (!host.why_not(controller).empty()) GTEST_SKIP() << host.why_not(controller);
  }
  auto group = *sys::Cgroup::create(host, "berth-test/" + random_hex(8), {});
  const auto apply = [&](const char* text) {
    const auto applied = apply_runtime_resources(*group, *parse(text));
    return applied ? std::string() : applied.error().message;
  };
  const auto file = [&](const char* controller, const char* v1_name, const char* v2_name) {
    const auto text = group->read(controller, group->is_v2() ? v2_name : v1_name);
    return text && *text ? std::string(trim(**text)) : "absent";
  };
  EXPECT_EQ(
      apply(R"({"cpu": {"shares": 512, "quota": 20000, "period": 50000, "cpus": "0"}, "pids": {"limit": 9},
                      "memory": {"limit": 33554432, "swap": 33554432}})"),
      "");
  EXPECT_EQ(file("cpu", "cpu.shares", "cpu.weight"), group->is_v2() ? "20" : "512");
  EXPECT_EQ(file("cpu", "cpu.cfs_quota_us", "cpu.max"), group->is_v2() ? "20000 50000" : "20000");
  EXPECT_EQ(file("memory", "memory.limit_in_bytes", "memory.max"), "33554432");
  EXPECT_EQ(file("pids", "pids.max", "pids.max"), "9");
  EXPECT_EQ(file("cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
  EXPECT_EQ(apply(R"({"memory": {"limit": 67108864}, "pids": {"limit": -1}, "cpu": {"quota": -1}})"), "");
  EXPECT_EQ(file("memory", "memory.limit_in_bytes", "memory.max"), "67108864");
  EXPECT_EQ(file("pids", "pids.max", "pids.max"), "max");
  const std::string refused = apply(R"({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]})");
  EXPECT_TRUE(refused.starts_with("linux.resources.hugepageLimits: ")) << refused;
  EXPECT_TRUE(group->kill_all());
  for (const auto& hierarchy : host.v1) ::rmdir((hierarchy.base + "/berth-test").c_str());
  ::rmdir((host.v2_base + "/berth-test").c_str());
}

}  // namespace
}  // namespace berth::isolate
