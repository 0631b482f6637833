// Control groups behind one interface: version 2 where the kernel mounts its controllers there, version 1 (or
// a hybrid host) otherwise. Callers speak cgroup v2's words (cpu.weight, cpu.max, memory.max, ...); v1 gets
// them mapped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace berth::sys {

// One block device's ceiling; 0 means no limit. `device` is "major:minor".
struct IoMax {
  std::string device;
  std::uint64_t read_bps = 0;
  std::uint64_t write_bps = 0;
  std::uint64_t read_iops = 0;
  std::uint64_t write_iops = 0;
};

// What a unit may use. Absent members leave the kernel's default (or, in update(), what was set before).
struct Resources {
  std::optional<double> cpus;                 // processors' worth of time: 0.5 is half of one
  std::optional<std::uint64_t> cpu_weight;    // 1-10000, default 100
  std::optional<std::string> cpuset;          // "0-3,6"
  std::optional<std::uint64_t> memory_bytes;  // hard limit
  std::optional<std::uint64_t> memory_low_bytes;
  std::optional<std::uint64_t> swap_bytes;  // of swap alone, beyond memory; 0 means none
  std::optional<std::uint64_t> pids;
  std::optional<std::uint64_t> io_weight;  // 1-10000, default 100
  std::vector<IoMax> io_max;

  // The options that were given, as typed: "--cpus", "--io-max".
  std::vector<std::string_view> flags() const;
  bool empty() const { return flags().empty(); }
  // InvalidArgument naming the option whose value makes no sense on this machine (weights 1-10000, cpus 0.01
  // to the online processors, memory of 512 KiB or more, ...).
  Result<void> check() const;
  Json to_json() const;
  static Result<Resources> from_json(const JsonView& view);
};

struct CgroupStats {
  std::uint64_t cpu_usage_us = 0;
  std::uint64_t cpu_throttled_us = 0;
  std::uint64_t memory_bytes = 0;  // without file cache that can be dropped at once, as Docker counts
  std::uint64_t memory_peak_bytes = 0;
  std::optional<std::uint64_t> memory_limit_bytes;
  std::uint64_t oom_kills = 0;
  std::uint64_t pids = 0;
  std::optional<std::uint64_t> pids_limit;
  std::uint64_t io_read_bytes = 0;
  std::uint64_t io_write_bytes = 0;
};

// A device rule as the runtime spec has it; applied as v1 lists or a v2 eBPF program. Rules count in order,
// the last one that matches decides; what none names stays allowed, so lists start with {false, 'a'}.
struct DeviceRule {
  bool allow = false;
  char type = 'a';                    // a, b or c
  std::optional<std::int64_t> major;  // absent: any
  std::optional<std::int64_t> minor;
  std::string access;  // of r, w, m
};

enum class CgroupMode { None, V1, Hybrid, V2 };

// What the kernel offers here, read from mountinfo alone (/proc/cgroups lists controllers that are not
// mounted).
struct CgroupHost {
  CgroupMode mode = CgroupMode::None;
  struct Hierarchy {
    std::string mount_point;               // "/sys/fs/cgroup/memory"
    std::string root;                      // what of the hierarchy is mounted there, normally "/"
    std::vector<std::string> controllers;  // "cpu", "cpuacct", ...; "name=systemd" alone for a named one
    std::string own_path;                  // this process's group in it
    std::string base;                      // the directory below which groups are made
  };
  std::vector<Hierarchy> v1;
  std::string v2_mount;  // "" where absent
  std::string v2_base;   // the directory below which groups are made: delegated to us, or the mount
  std::vector<std::string> v2_controllers;  // usable there
  bool writable = false;                    // this process can make groups
  // v2_base is the group of the ordinary user's own systemd, and this process elsewhere: only systemd can put
  // processes of ours there.
  bool lent = false;
  static Result<CgroupHost> probe();
  // Why this process cannot make groups and put others of ours into them; empty if it can.
  std::string why_none() const;
  // Why `controller` ("cpu", "memory", "io", "pids", "cpuset", "freezer", "devices") cannot be used; empty if
  // it can.
  std::string why_not(std::string_view controller) const;
};

// One value to be written for one option of the command line or field of a configuration.
struct CgroupSetting {
  std::string_view flag;        // "--cpus", "linux.resources.cpu.shares"
  std::string_view controller;  // "cpu"; "" for a file that every group has
  std::string file;             // "cpu.max"
  std::string value;

  bool operator==(const CgroupSetting&) const = default;
};

// One unit's control group (one directory a hierarchy). What it made outlives the process: remove() is the
// caller's.
class Cgroup {
 public:
  virtual ~Cgroup() = default;

  // Makes or opens "berth/<id>" (`path` is relative to the base). FailedPrecondition names a limit of
  // `resources` that this kernel cannot keep, and leaves nothing behind. No process is in it yet.
  static Result<std::unique_ptr<Cgroup>> create(const CgroupHost& host, const std::string& path,
                                                const Resources& resources);
  // For one that exists (after a restart of ours), also one that was made or removed by half; NotFound
  // without any.
  static Result<std::unique_ptr<Cgroup>> open(const CgroupHost& host, const std::string& path);

  virtual Result<void> attach(pid_t pid) = 0;
  // Also on a live group. Memory below what is in use is refused (FailedPrecondition).
  virtual Result<void> apply(const Resources& resources) = 0;
  virtual Result<void> set_devices(const std::vector<DeviceRule>& rules) = 0;
  virtual Result<std::vector<pid_t>> pids() = 0;  // in it and below
  virtual Result<CgroupStats> stats() = 0;
  virtual Result<bool> frozen() = 0;
  // Removes the directories; FailedPrecondition where processes are left. Absent is fine.
  virtual Result<void> remove() = 0;
  // A descriptor for clone3's CLONE_INTO_CGROUP; -1 under v1.
  virtual int clone_fd() const = 0;
  virtual std::vector<std::string> directories() const = 0;

  // Files by name, for what Resources has no word for. set() makes or enables the controller where the group
  // does not have it yet; FailedPrecondition, beginning with the flag, where it cannot be had.
  virtual bool is_v2() const = 0;
  virtual Result<void> set(const CgroupSetting& setting) = 0;
  // Nothing where the group has no such file.
  virtual Result<std::optional<std::string>> read(std::string_view controller, const std::string& file) = 0;
  // Under v1, a directory also in the hierarchies that no limit asked for, so that none takes the members for
  // its root's.
  virtual Result<void> make_everywhere() { return {}; }
  // Hands the group itself, not its limits, to a user: what the kernel lists in /sys/kernel/cgroup/delegate.
  // FailedPrecondition under v1, where that is not safe.
  virtual Result<void> delegate(uid_t uid, gid_t gid) = 0;

  // Waits until it is so; at most 10 s, then it is as it was.
  Result<void> freeze(bool frozen);
  // Kills all that is in it (frozen or not), waits, removes the directories. Absent is fine.
  Result<void> kill_all();
  // Sends a signal to each process in it and below.
  Result<void> signal_all(int signal);

 protected:
  explicit Cgroup(std::string path) : path_(std::move(path)) {}
  virtual Result<void> request_freeze(bool frozen) = 0;
  virtual Result<bool> is_empty() = 0;  // also where it is gone
  virtual Result<bool> remove_if_empty() = 0;
  virtual Result<void> kill_once() = 0;
  // Undoes a creation that failed: what `filled` says is kept.
  static Result<std::unique_ptr<Cgroup>> keep_if(Result<void> filled, std::unique_ptr<Cgroup> group);

  std::string path_;
};

}  // namespace berth::sys
