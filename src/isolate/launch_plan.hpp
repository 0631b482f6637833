// A launch plan: everything that starting a unit's first process takes, as data. Isolators add to it; the
// launcher carries it out. Nothing in a plan has touched the system yet but for opened descriptors and
// detached mounts, which vanish with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "isolate/config.hpp"
#include "sys/cgroup.hpp"
#include "sys/fd.hpp"

namespace berth::isolate {

// One thing the child does between fork and exec. Steps own what they need, made ready before the fork: run()
// allocates nothing and gives 0 or an errno, which the launcher reports together with what().
class ChildStep {
 public:
  explicit ChildStep(std::string what) : what_(std::move(what)) {}
  virtual ~ChildStep() = default;
  virtual int run() noexcept = 0;
  const std::string& what() const { return what_; }  // "mount proc on /proc"

 private:
  std::string what_;
};

// A step from a callable; the callable must keep to ChildStep::run's rules.
template <typename Body>
class CallStep final : public ChildStep {
 public:
  CallStep(std::string what, Body body) : ChildStep(std::move(what)), body_(std::move(body)) {}
  int run() noexcept override { return body_(); }

 private:
  Body body_;
};

struct IdMapping {
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 0;
};

// Namespaces of a running process to enter first (exec).
struct JoinTarget {
  sys::Fd pidfd;
  int namespaces = 0;  // CLONE_NEW*
};

// Who the workload runs as.
struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::string home = "/";
};

struct LaunchPlan {
  std::uint64_t new_namespaces =
      0;  // CLONE_NEW*, but for the cgroup one, which a step makes once inside the group
  std::vector<IdMapping> id_mappings;  // for CLONE_NEWUSER; users and groups alike
  std::optional<JoinTarget> join;

  std::unique_ptr<sys::Cgroup> cgroup;  // the child is put into it before its first step; null: none

  sys::Fd root;  // the root file system: a detached mount, or an O_PATH directory; empty: the host's own
  Credentials credentials;

  // What the child does, in this order: set-up as the privileged user, then (after descriptors 0-2 are in
  // place) the steps that give privilege away, then exec.
  std::vector<std::unique_ptr<ChildStep>> setup;
  std::vector<std::unique_ptr<ChildStep>> lockdown;
  bool console = false;  // a new terminal also appears as /dev/console
  bool init = false;     // a reaper stays as the first process; the workload is its child

  std::vector<std::string> args;
  std::vector<std::string> env;

  template <typename Body>
  void then(std::string what, Body body) {
    setup.push_back(std::make_unique<CallStep<Body>>(std::move(what), std::move(body)));
  }
  template <typename Body>
  void finally(std::string what, Body body) {
    lockdown.push_back(std::make_unique<CallStep<Body>>(std::move(what), std::move(body)));
  }
};

}  // namespace berth::isolate
