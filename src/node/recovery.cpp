#include "node/recovery.hpp"

#include <fmt/core.h>

#include <filesystem>

#include "base/log.hpp"
#include "node/monitor/spawn.hpp"
#include "node/remove.hpp"
#include "node/restart.hpp"
#include "sys/process.hpp"
#include "unit/unit.hpp"

namespace berth::node {
namespace {

// A monitor records the run before anybody may rely on it, so a unit without a record has had nobody wait for
// it.
bool still_runs(const Instance& instance) {
  if (instance.pid <= 0 || (instance.state != State::Running && instance.state != State::Paused))
    return false;
  const auto boot = current_boot_id();
  if (!boot || *boot != instance.boot_id) return false;
  const auto pidfd = sys::open_pidfd(instance.pid);
  if (!pidfd || sys::has_ended(pidfd->get())) return false;
  const auto start_time = sys::process_start_time(instance.pid);
  return start_time && *start_time == instance.start_time;
}

Result<bool> same_boot(const Instance& instance) {
  return instance.boot_id.empty() || TRY(current_boot_id()) == instance.boot_id;
}

Result<void> settle_ended(const Paths& paths, InstanceStore& store, const Instance& instance, sys::Fd lock) {
  const bool booted = !TRY(same_boot(instance));
  TRY(unit::unit_of(instance.config.unit).cleanup(instance.config));
  const Ending ending{
      .exit_code = std::nullopt,
      .reason = booted ? "the machine was restarted" : "its monitor was killed and nobody saw it end"};
  TRY(store.set_ended(instance.config.id, State::Exited, ending));
  if (instance.config.remove_on_exit) return remove_instance(paths, instance.config);
  constexpr int kUnknownIsFailure = 255;
  const bool again = !booted && should_restart(instance.config.restart, kUnknownIsFailure, instance.restarts,
                                               instance.stop_requested);
  if (again) TRY(spawn_monitor(paths, instance.config.id, std::move(lock), MonitorMode::Start));
  return {};
}

Result<void> recover_one(const Paths& paths, InstanceStore& store, const std::string& id) {
  sys::Fd lock = TRY(try_lock_instance(paths, id));
  if (!lock) return {};  // its owner lives
  auto found = store.get(id);
  if (!found && found.error().code == Code::NotFound)
    return sys::remove_tree(paths.run_dir(id));  // just removed
  const Instance instance = TRY(std::move(found));
  if (!needs_owner(instance.state)) return {};
  log::warn("instance {} was {} when its owner was killed: putting it right", instance.config.name,
            state_name(instance.state));
  if (!is_active(instance.state)) return remove_instance(paths, instance.config);
  if (!still_runs(instance)) return settle_ended(paths, store, instance, std::move(lock));
  TRY(spawn_monitor(paths, id, std::move(lock), MonitorMode::TakeOver));
  return {};
}

// A creator or remover that was killed may leave a run directory that no row speaks of.
Result<void> remove_stray(const Paths& paths, InstanceStore& store, const std::string& id) {
  if (TRY(store.has(id))) return {};
  const sys::Fd lock = TRY(try_lock_instance(paths, id));
  if (!lock || TRY(store.has(id))) return {};  // just being made
  return sys::remove_tree(paths.run_dir(id));
}

void remove_strays(const Paths& paths, InstanceStore& store) {
  std::error_code none_yet;
  for (const auto& entry : std::filesystem::directory_iterator(paths.run + "/instances", none_yet)) {
    const auto removed = remove_stray(paths, store, entry.path().filename());
    if (!removed) log::warn("{} could not be removed: {}", entry.path().native(), removed.error().message);
  }
}

}  // namespace

Result<void> recover(const Paths& paths, InstanceStore& store) {
  for (const std::string& id : TRY(store.owned_ids())) {
    const auto recovered = recover_one(paths, store, id);
    if (!recovered)
      log::warn("instance {} could not be put right: {}", id.substr(0, 12), recovered.error().message);
  }
  remove_strays(paths, store);
  return {};
}

}  // namespace berth::node
