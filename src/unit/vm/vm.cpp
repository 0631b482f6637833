#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/launcher.hpp"
#include "sys/process.hpp"
#include "sys/spawn.hpp"
#include "unit/units.hpp"
#include "unit/vm/exec.hpp"
#include "unit/vm/layer_image.hpp"
#include "unit/vm/machine_config.hpp"
#include "unit/vm/start.hpp"
#include "unit/vm/user_network.hpp"

namespace berth::unit {
namespace {

constexpr std::size_t kMaxReasonBytes = 4096;

class Vm final : public Unit {
 public:
  UnitKind kind() const override { return UnitKind::Vm; }

  // The software engine runs wherever berth does; KVM is taken where it is.
  Result<void> probe() const override {
    for (const char* program : {"berth-vmm", "berth-init"}) {
      const std::string path = TRY(sys::sibling_program(program));
      if (::access(path.c_str(), X_OK) != 0)
        return fail(Code::FailedPrecondition, fmt::format("{} is not there: it belongs beside berth", path));
    }
    return probe_layer_images();
  }

  isolate::NetworkMode default_network() const override {
    const auto possible = probe_user_network();
    if (possible) return isolate::NetworkMode::User;
    log::warn("the machine has no network: {} (--network none says that it shall have none)",
              possible.error().message);
    return isolate::NetworkMode::None;
  }

  Result<void> check(const UnitConfig& config) const override { return check_machine(config); }

  std::vector<std::string> isolates(const UnitConfig& config) const override {
    std::vector<std::string> list = {
        "kernel: its own, on a processor and devices that are berth's",
        "files: its own root (the image's layers as read-only disks, written to in its own memory)",
        "processes: its own, and users, names and kernel settings",
        fmt::format("memory: {} of its own", format_size(guest_memory_bytes(config))),
        config.network == isolate::NetworkMode::None ? "network: nothing but its own loopback"
                                                     : "network: its own interface and addresses",
        "resources: its own control group with limits, statistics and a clean end"};
    if (!config.privileged) list.emplace_back("privileges inside: few capabilities, masked kernel files");
    return list;
  }

  std::vector<std::string> shares(const UnitConfig& config) const override {
    std::vector<std::string> list = {"the host's kernel, reached by the machine's monitor alone",
                                     "the processor's caches"};
    if (config.network == isolate::NetworkMode::User)
      list.emplace_back("network: what the host reaches, but for its loopback; nothing leads in");
    if (config.interface) list.push_back(fmt::format("network: the host's device {}", config.interface->tap));
    return list;
  }

  Result<Launched> launch(const UnitConfig& config, const InstancePaths& paths, const Stdio& stdio) override {
    auto launched = start_machine(config, paths, stdio);
    if (!launched) static_cast<void>(cleanup(config));
    return launched;
  }

  Result<Launched> exec(const UnitConfig&, const InstancePaths& paths, const Running&, const ExecConfig& exec,
                        const Stdio& stdio) override {
    return exec_in_machine(paths, exec, stdio);
  }

  Result<void> pause(const UnitConfig& config, bool paused) override {
    return TRY(group_of(config, paused ? "pause" : "unpause"))->freeze(paused);
  }

  Result<void> update(const UnitConfig& config, const sys::Resources& resources) override {
    for (const auto& [given, option] : {std::pair{resources.memory_bytes.has_value(), "--memory"},
                                        std::pair{resources.pids.has_value(), "--pids"}})
      if (given)
        return fail(Code::FailedPrecondition,
                    fmt::format("{}: a running virtual machine keeps what it was started with", option));
    return TRY(group_of(config, "update"))->apply(resources);
  }

  Result<sys::CgroupStats> stats(const UnitConfig& config) override {
    return TRY(group_of(config, "measure"))->stats();
  }

  // The machine's process; those in it are the guest's.
  Result<std::vector<pid_t>> pids(const UnitConfig&, const Running& running) override {
    return std::vector<pid_t>{running.pid};
  }

  std::string end_reason(const InstancePaths& paths) const override {
    return sys::read_file(ending_file(paths), kMaxReasonBytes).value_or("");
  }

  Result<void> cleanup(const UnitConfig& config) override {
    const auto group = TRY(isolate::find_cgroup(config));
    if (!group) return {};
    TRY(group->kill_all());
    return group->remove();
  }

 private:
  static Result<std::unique_ptr<sys::Cgroup>> group_of(const UnitConfig& config, std::string_view wish) {
    auto group = TRY(isolate::find_cgroup(config));
    if (group) return group;
    return fail(
        Code::FailedPrecondition,
        fmt::format("cannot {} {}: it has no control group (not running, or groups are not writable here)",
                    wish, config.name));
  }
};

}  // namespace

Unit& vm_unit() {
  static Vm unit;
  return unit;
}

}  // namespace berth::unit
