// One isolator a concern. The units list theirs in one ordered table: prepare in that order, clean up in
// reverse.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "isolate/config.hpp"
#include "isolate/launch_plan.hpp"

namespace berth::isolate {

// The instance that a plan is made for.
struct Instance {
  const UnitConfig& config;
  const InstancePaths& paths;
  const Stdio& stdio;
};

// What is known of a unit that runs already, for one more process in it.
struct ExecTarget {
  const UnitConfig& config;
  pid_t pid;
};

class Isolator {
 public:
  virtual ~Isolator() = default;
  virtual std::string_view name() const = 0;

  // Adds data to the plan. May open descriptors and make detached mounts; changes nothing that outlives the
  // plan but the files below the instance's own directories, and control groups (which cleanup() removes).
  virtual Result<void> prepare(const Instance&, LaunchPlan&) const { return {}; }
  // The same for a process that joins a running unit.
  virtual Result<void> prepare_exec(const ExecTarget&, LaunchPlan&) const { return {}; }
  // Frees what outlives processes. Idempotent, also after a launch that stopped half-way.
  virtual Result<void> cleanup(const UnitConfig&) const { return {}; }
};

using IsolatorTable = std::vector<const Isolator*>;

Result<void> prepare_all(const IsolatorTable& table, const Instance& instance, LaunchPlan& plan);
Result<void> prepare_exec_all(const IsolatorTable& table, const ExecTarget& target, LaunchPlan& plan);
// Goes on after a failure; gives the first.
Result<void> cleanup_all(const IsolatorTable& table, const UnitConfig& config);

// The members of the family, each in its own file.
const Isolator& cgroup_isolator();              // control group, limits, device rules
const Isolator& namespaces_isolator();          // which are new, and joining a running unit's
const Isolator& join_isolator();                // joining alone (process)
const Isolator& rootfs_isolator();              // the composed root file system and pivot_root
const Isolator& system_mounts_isolator();       // a container's own /proc, /sys and /dev
const Isolator& host_system_mounts_isolator();  // the host's /proc, /sys and /dev in another root (process)
const Isolator& leave_host_isolator();          // letting go of the old root, once nothing needs it
const Isolator& etc_files_isolator();           // /etc/hosts, hostname and resolv.conf
const Isolator& volumes_isolator();             // -v, --tmpfs
const Isolator& devices_isolator();             // --device
const Isolator& sysctl_isolator();              // --sysctl
const Isolator& masks_isolator();               // masked and read-only paths of /proc and /sys
const Isolator& read_only_root_isolator();      // --read-only
const Isolator& hostname_isolator();            // --hostname
const Isolator& network_isolator();             // loopback
const Isolator& user_isolator();                // who the workload is; HOME
const Isolator& session_isolator();             // terminal, working directory, umask
const Isolator& rlimits_isolator();             // --ulimit
const Isolator& capabilities_isolator();        // bounding set, change of user, capability sets
const Isolator& change_user_isolator();         // the change of user alone (process)
const Isolator& seccomp_isolator();             // no-new-privileges and the system call filter
const Isolator& no_new_privileges_isolator();   // no-new-privileges alone (process)

}  // namespace berth::isolate
