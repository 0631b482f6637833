// A group under cgroup v1: one directory in each hierarchy. Also the form of a hybrid machine, whose
// controllers are v1's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/cgroup.hpp"
#include "sys/cgroup_dir.hpp"

namespace berth::sys {

// The freezer's directory is the one that tells who belongs to the group: it is made first and removed last.
class V1Cgroup final : public Cgroup {
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
  int clone_fd() const override { return -1; }
  std::vector<std::string> directories() const override;
  bool is_v2() const override { return false; }
  Result<void> set(const CgroupSetting& setting) override;
  Result<std::optional<std::string>> read(std::string_view controller, const std::string& file) override;
  Result<void> make_everywhere() override;
  Result<void> delegate(uid_t uid, gid_t gid) override;

 protected:
  Result<void> request_freeze(bool frozen) override;
  Result<bool> is_empty() override;
  Result<bool> remove_if_empty() override;
  Result<void> kill_once() override;

 private:
  struct Part {
    std::vector<std::string> controllers;
    std::string base;
    std::optional<CgroupDir> dir;  // absent until it is needed
    bool looked = false;           // whether it is there
    bool holds(std::string_view controller) const;
  };

  V1Cgroup(const CgroupHost& host, std::string path);
  Part* find(std::string_view controller);
  // Null: it has none.
  Result<const CgroupDir*> dir_of(std::string_view controller);
  Result<const CgroupDir*> look(Part& part);
  std::string directory(const Part& part) const;
  Result<void> make_dir(Part& part);
  // The controller's directory; made now, with the group's processes moved in, where it was not needed
  // before.
  Result<const CgroupDir*> require(std::string_view controller, std::string_view why);
  Result<void> adopt_processes(const CgroupDir& dir);
  Result<Resources> with_kept_memory(const Resources& resources);
  CgroupHost host_;  // for its reasons why not
  std::vector<Part> parts_;
};

}  // namespace berth::sys
