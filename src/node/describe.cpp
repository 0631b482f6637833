#include "node/describe.hpp"

#include <fmt/core.h>

#include <chrono>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "node/instance_store.hpp"
#include "node/run_options.hpp"
#include "sys/signals.hpp"
#include "unit/unit.hpp"

namespace berth::node {
namespace {

std::string age(std::int64_t when_ns) {
  return format_age(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::nanoseconds(now_ns() - when_ns)));
}

Json time_json(std::int64_t when_ns) {
  if (when_ns == 0) return nullptr;
  return format_rfc3339(std::chrono::system_clock::time_point(std::chrono::nanoseconds(when_ns)));
}

Json state_json(const Instance& instance) {
  const auto& ending = instance.ending;
  return Json{{"Status", state_name(instance.state)},
              {"Running", instance.state == State::Running},
              {"Paused", instance.state == State::Paused},
              {"Pid", instance.pid},
              {"MonitorPid", is_active(instance.state) ? instance.monitor_pid : 0},
              {"ExitCode", ending.exit_code ? Json(*ending.exit_code) : Json(nullptr)},
              {"OOMKilled", ending.oom_killed},
              {"Error", ending.reason},
              {"StartedAt", time_json(instance.started_ns)},
              {"FinishedAt", time_json(instance.finished_ns)},
              {"Restarts", instance.restarts}};
}

}  // namespace

std::string ago(std::int64_t when_ns) { return age(when_ns) + " ago"; }

std::string status_text(const Instance& instance) {
  const std::string code = instance.ending.exit_code ? std::to_string(*instance.ending.exit_code) : "?";
  switch (instance.state) {
    case State::Running:
      return "Up " + age(instance.started_ns);
    case State::Paused:
      return fmt::format("Up {} (paused)", age(instance.started_ns));
    case State::Restarting:
      return fmt::format("Restarting ({}) {}", code, ago(instance.finished_ns));
    case State::Exited:
      return fmt::format("Exited ({}) {}", code, ago(instance.finished_ns));
    case State::Failed:
      return fmt::format("Failed ({}) {}", code, ago(instance.finished_ns));
    default:
      break;
  }
  std::string name(state_name(instance.state));
  name[0] = static_cast<char>(name[0] - 'a' + 'A');
  return name;
}

Json describe(const Paths& paths, const Instance& instance) {
  const auto& config = instance.config;
  const unit::Unit& unit = unit::unit_of(config.unit);
  return Json{{"Id", config.id},
              {"Name", config.name},
              {"Unit", isolate::unit_name(config.unit)},
              {"Created", time_json(config.created_ns)},
              {"State", state_json(instance)},
              {"Image", config.image},
              {"ImageID", config.image_id},
              {"Args", config.args},
              {"RestartPolicy", restart_text(config.restart)},
              {"StopSignal", sys::signal_name(config.stop_signal)},
              {"Config", config.to_json()},
              {"Paths",
               {{"State", paths.state_dir(config.id)},
                {"Run", paths.run_dir(config.id)},
                {"Log", paths.log_file(config.id)}}},
              {"Isolates", unit.isolates(config)},
              {"Shares", unit.shares(config)}};
}

}  // namespace berth::node
