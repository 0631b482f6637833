// A group under cgroup v2: one directory, its controllers enabled in every group above it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sys/cgroup.hpp"
#include "sys/cgroup_dir.hpp"

namespace berth::sys {

class V2Cgroup final : public Cgroup {
 public:
  static Result<std::unique_ptr<Cgroup>> create(const CgroupHost& host, const std::string& path,
                                                const Resources& resources);
  static Result<std::unique_ptr<Cgroup>> open(const CgroupHost& host, const std::string& path);

  Result<void> attach(pid_t pid) override;
  Result<void> apply(const Resources& resources) override;
  Result<void> set_devices(const std::vector<DeviceRule>& rules) override;
  Result<bool> frozen() override;
  Result<std::vector<pid_t>> pids() override;
  Result<CgroupStats> stats() override;
  Result<void> remove() override;
  int clone_fd() const override { return dir_.fd(); }
  std::vector<std::string> directories() const override { return {dir_.path()}; }
  bool is_v2() const override { return true; }
  Result<void> set(const CgroupSetting& setting) override;
  Result<std::optional<std::string>> read(std::string_view controller, const std::string& file) override;
  Result<void> delegate(uid_t uid, gid_t gid) override;

 protected:
  Result<void> request_freeze(bool frozen) override;
  Result<bool> is_empty() override;
  Result<bool> remove_if_empty() override;
  Result<void> kill_once() override;

 private:
  V2Cgroup(const CgroupHost& host, std::string path, CgroupDir dir)
      : Cgroup(std::move(path)), host_(host), dir_(std::move(dir)) {}
  Result<void> require(const CgroupSetting& setting);
  Result<void> make_room(std::uint64_t memory_bytes);

  CgroupHost host_;
  CgroupDir dir_;
};

// Enables `controllers` (those of them that are not yet) for the groups below `group`. The kernel lets no
// group have both processes and enabled controllers, so processes that stand in `group` itself (ours, where
// the group was handed to us as a whole) move to its child "berth-host" first. Source: admin-guide/cgroup-v2,
// "No Internal Process Constraint".
Result<void> enable_controllers(const std::string& group, const std::vector<std::string>& controllers);

}  // namespace berth::sys
