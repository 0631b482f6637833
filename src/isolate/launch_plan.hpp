// A launch plan: everything that starting a unit's first process takes, as data. Isolators add to it; the
// launcher carries it out. Nothing in a plan has touched the system yet but for opened descriptors and
// detached mounts, which vanish with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "isolate/config.hpp"
#include "sys/cgroup.hpp"
#include "sys/fd.hpp"
#include "sys/idmap.hpp"

namespace berth::isolate {

// What a step may need of the launch that it is part of.
struct ChildContext {
  int channel = -1;      // to the launcher
  pid_t outer_pid = -1;  // the child's own number as the launcher sees it
};

// One thing the child does between fork and exec. Steps own what they need, made ready before the fork: run()
// allocates nothing and gives 0 or an errno, which the launcher reports together with what().
class ChildStep {
 public:
  explicit ChildStep(std::string what) : what_(std::move(what)) {}
  virtual ~ChildStep() = default;
  virtual int run(const ChildContext& context) noexcept = 0;
  const std::string& what() const { return what_; }  // "mount proc on /proc"

 private:
  std::string what_;
};

// A step from a callable, with or without a ChildContext; the callable must keep to ChildStep::run's rules.
template <typename Body>
class CallStep final : public ChildStep {
 public:
  CallStep(std::string what, Body body) : ChildStep(std::move(what)), body_(std::move(body)) {}
  int run(const ChildContext& context) noexcept override {
    if constexpr (std::is_invocable_v<Body&, const ChildContext&>)
      return body_(context);
    else
      return body_();
  }

 private:
  Body body_;
};

using ChildSteps = std::vector<std::unique_ptr<ChildStep>>;

// What the launcher does for a child that has come to a certain step and waits meanwhile: whatever takes the
// launcher's namespaces or privileges, or allocates. Its error ends the launch.
struct ChildAtStep {
  pid_t pid;
  int pidfd;
};
using Errand = std::function<Result<void>(const ChildAtStep& child)>;

using IdMapping = sys::IdRange;

// Namespaces to enter first: those of a running process by its pidfd (exec), or one by its file. Where there
// are any, the workload's process is born inside them, as a second one, and makes its new namespaces then.
struct JoinTarget {
  sys::Fd fd;
  int namespaces = 0;  // CLONE_NEW*; one by its file
};

// A launch that stops before its program until somebody connects to `listener` (the `start` of a container
// that was created). That one learns over the connection how it went on. `lock` is an flock(2) whose last
// holder is the waiting child.
struct Gate {
  sys::Fd listener;
  sys::Fd lock;
};

// Who the workload runs as.
struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  bool keep_groups = false;  // the launcher's own instead of `groups`
  std::string home = "/";
};

struct LaunchPlan {
  // CLONE_NEW*, but for the cgroup one, which a step makes once inside the group.
  std::uint64_t new_namespaces = 0;
  std::vector<IdMapping> uid_mappings;  // for CLONE_NEWUSER
  std::vector<IdMapping> gid_mappings;
  std::string time_offsets;  // for CLONE_NEWTIME, as /proc/self/timens_offsets takes them
  std::vector<JoinTarget> joins;

  // The child is put into it before its first step, or where `late_cgroup` is set by an errand: what it took
  // until then is not counted against the unit's limits. Null: none.
  std::unique_ptr<sys::Cgroup> cgroup;
  bool late_cgroup = false;
  // Where the group hands controllers on to groups below, and so takes no process (version 2): the child goes
  // to that of this process, if it is one of those. 0: nowhere.
  pid_t beside = 0;

  sys::Fd root;  // the root file system: a detached mount, or an O_PATH directory; empty: the host's own
  std::shared_ptr<int> host_root;  // the child's descriptor of the host's root, between two of its steps
  Credentials credentials;
  int kept_descriptors = 0;  // that many from 3 on stay open in the program

  // What the child does, in this order: set-up as the privileged user, then (after descriptors 0-2 are in
  // place) the steps that give privilege away, then those that wait for the gate, then exec.
  ChildSteps setup;
  ChildSteps lockdown;
  ChildSteps last;
  std::vector<Errand> errands;
  std::optional<Gate> gate;
  // Done by the launcher while the child takes its first steps, before any errand: told the number of the
  // process that will be the workload's.
  std::function<Result<void>(pid_t pid)> meanwhile;
  bool console = false;  // a new terminal also appears as /dev/console
  bool init = false;     // a reaper stays as the first process; the workload is its child

  std::vector<std::string> args;
  std::vector<std::string> env;

  template <typename Body>
  void then(std::string what, Body body) {
    setup.push_back(make_step(std::move(what), std::move(body)));
  }
  // In the set-up before all that then() appends: while the host's root directory still is the child's too.
  template <typename Body>
  void first(std::string what, Body body) {
    setup.insert(setup.begin() + first_steps_++, make_step(std::move(what), std::move(body)));
  }
  template <typename Body>
  void finally(std::string what, Body body) {
    lockdown.push_back(make_step(std::move(what), std::move(body)));
  }
  template <typename Body>
  void at_last(std::string what, Body body) {
    last.push_back(make_step(std::move(what), std::move(body)));
  }
  template <typename Body>
  static std::unique_ptr<ChildStep> make_step(std::string what, Body body) {
    return std::make_unique<CallStep<Body>>(std::move(what), std::move(body));
  }
  // A step of the set-up that is done by the launcher.
  void ask(std::string what, Errand errand);
  // A step, in no list yet, that the child does while the launcher does its part; over when both are.
  template <typename Body>
  std::unique_ptr<ChildStep> while_asking(std::string what, Errand errand, Body body) {
    const auto index = add_errand(std::move(errand));
    return make_step(std::move(what), [index, body = std::move(body)](const ChildContext& context) noexcept {
      if (const int error = begin_errand(context, index); error != 0) return error;
      if (const int error = body(); error != 0) return error;
      return end_errand(context);
    });
  }

 private:
  std::ptrdiff_t first_steps_ = 0;
  std::int32_t add_errand(Errand errand);
  static int begin_errand(const ChildContext& context, std::int32_t index) noexcept;
  static int end_errand(const ChildContext& context) noexcept;
};

}  // namespace berth::isolate
