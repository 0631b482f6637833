#include "isolate/process_attributes.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <limits>

#include "sys/security_label.hpp"

namespace berth::isolate {
namespace {

constexpr int kMaxOomScore = 1000;
constexpr int kMaxIoLevel = 7;

// An int of `view` in [low, high].
Result<int> read_int(const JsonView& view, int low, int high) {
  const std::int64_t value = TRY(view.as_int());
  if (value < low || value > high) return view.bad(fmt::format("give {} to {}", low, high));
  return static_cast<int>(value);
}

// The value of a word that `view` holds.
template <typename T>
Result<T> read_word(const JsonView& view, Result<T> (*look_up)(std::string_view)) {
  auto found = look_up(TRY(view.as_string()));
  if (!found) return view.bad(found.error().message);
  return found;
}

Result<std::uint64_t> uint_or_zero(const JsonView& view, std::string_view key) {
  const auto member = TRY(view.find(key));
  return member ? TRY(member->as_uint()) : std::uint64_t{0};
}

Result<sys::Scheduling> read_scheduling(const JsonView& view) {
  sys::Scheduling wanted;
  wanted.policy = TRY(read_word(TRY(view.at("policy")), sys::scheduling_policy));
  if (const auto nice = TRY(view.find("nice"))) wanted.nice = TRY(read_int(*nice, -20, 19));
  if (const auto priority = TRY(view.find("priority")))
    wanted.priority = static_cast<std::uint32_t>(TRY(read_int(*priority, 0, 99)));
  for (const JsonView& flag : TRY(view.array_or_empty("flags")))
    wanted.flags |= TRY(read_word(flag, sys::scheduling_flag));
  wanted.runtime_ns = TRY(uint_or_zero(view, "runtime"));
  wanted.deadline_ns = TRY(uint_or_zero(view, "deadline"));
  wanted.period_ns = TRY(uint_or_zero(view, "period"));
  if (auto checked = sys::check_scheduling(wanted); !checked) return view.bad(checked.error().message);
  return wanted;
}

Result<sys::IoPriority> read_io_priority(const JsonView& view) {
  sys::IoPriority wanted;
  wanted.kind = TRY(read_word(TRY(view.at("class")), sys::io_priority_class));
  if (const auto level = TRY(view.find("priority"))) wanted.level = TRY(read_int(*level, 0, kMaxIoLevel));
  return wanted;
}

Result<std::optional<cpu_set_t>> read_cpus(const JsonView& view, std::string_view key) {
  const auto member = TRY(view.find(key));
  if (!member) return std::optional<cpu_set_t>();
  return std::optional<cpu_set_t>(TRY(read_word(*member, sys::parse_cpu_set)));
}

Result<std::string> read_label(const JsonView& process, std::string_view key, sys::SecurityModule module) {
  std::string label = TRY(process.string_or(key, ""));
  // "unconfined" asks for what a kernel without the module gives as well.
  if (label.empty() || (module == sys::SecurityModule::AppArmor && label == "unconfined" &&
                        !sys::require_security_module(module, "")))
    return std::string();
  TRY(sys::require_security_module(module, process.path() + "." + std::string(key)));
  return label;
}

void add_label(LaunchPlan& plan, sys::SecurityModule module, std::string what, std::string text) {
  plan.finally(std::move(what), [module, text = std::move(text)]() noexcept {
    return sys::set_exec_label(module, text.data(), text.size());
  });
}

}  // namespace

Result<ProcessAttributes> parse_process_attributes(const JsonView& process) {
  ProcessAttributes attributes;
  if (const auto view = TRY(process.find("scheduler"))) attributes.scheduling = TRY(read_scheduling(*view));
  if (const auto view = TRY(process.find("ioPriority")))
    attributes.io_priority = TRY(read_io_priority(*view));
  if (const auto view = TRY(process.find("execCPUAffinity"))) {
    attributes.initial_cpus = TRY(read_cpus(*view, "initial"));
    attributes.final_cpus = TRY(read_cpus(*view, "final"));
  }
  if (const auto view = TRY(process.find("oomScoreAdj")))
    attributes.oom_score_adj = TRY(read_int(*view, -kMaxOomScore, kMaxOomScore));
  attributes.apparmor_profile = TRY(read_label(process, "apparmorProfile", sys::SecurityModule::AppArmor));
  attributes.selinux_label = TRY(read_label(process, "selinuxLabel", sys::SecurityModule::SeLinux));
  return attributes;
}

Result<std::optional<sys::Personality>> parse_personality(const JsonView& linux_config) {
  const auto view = TRY(linux_config.find("personality"));
  if (!view) return std::optional<sys::Personality>();
  for (const JsonView& flag : TRY(view->array_or_empty("flags"))) return flag.bad("no flags are defined");
  const JsonView domain = TRY(view->at("domain"));
  const std::string name = TRY(domain.as_string());
  if (name == "LINUX") return std::optional(sys::Personality::Linux);
  if (name == "LINUX32") return std::optional(sys::Personality::Linux32);
  return domain.bad(fmt::format("\"{}\" is neither LINUX nor LINUX32", name));
}

Result<std::string> parse_time_offsets(const JsonView& linux_config) {
  const auto view = TRY(linux_config.find("timeOffsets"));
  if (!view) return std::string();
  std::string lines;
  for (const auto& [clock, offset] : TRY(view->as_object())) {
    if (clock != "monotonic" && clock != "boottime")
      return offset.bad("only monotonic and boottime can differ");
    const std::int64_t seconds = TRY(offset.int_or("secs", 0));
    const std::uint64_t nanoseconds = TRY(uint_or_zero(offset, "nanosecs"));
    if (nanoseconds >= 1000000000) return TRY(offset.at("nanosecs")).bad("give less than 1000000000");
    lines += sys::time_offset_line(clock, seconds, static_cast<std::uint32_t>(nanoseconds));
  }
  return lines;
}

void add_process_attributes(LaunchPlan& plan, const ProcessAttributes& attributes) {
  if (const auto& wanted = attributes.scheduling)
    plan.then("set process.scheduler", [wanted = *wanted]() noexcept { return sys::set_scheduling(wanted); });
  if (const auto& wanted = attributes.io_priority)
    plan.then("set process.ioPriority",
              [wanted = *wanted]() noexcept { return sys::set_io_priority(wanted); });
  if (const auto& wanted = attributes.final_cpus) {
    plan.then("set process.execCPUAffinity.final",
              [wanted = *wanted]() noexcept { return sys::set_cpu_affinity(wanted); });
  }
  if (!attributes.apparmor_profile.empty()) {
    add_label(plan, sys::SecurityModule::AppArmor,
              fmt::format("set process.apparmorProfile {}", attributes.apparmor_profile),
              "exec " + attributes.apparmor_profile);
  }
  if (!attributes.selinux_label.empty()) {
    add_label(plan, sys::SecurityModule::SeLinux,
              fmt::format("set process.selinuxLabel {}", attributes.selinux_label), attributes.selinux_label);
  }
}

void add_personality(LaunchPlan& plan, sys::Personality personality) {
  plan.then("set linux.personality", [personality]() noexcept { return sys::set_personality(personality); });
}

void add_time_namespace(LaunchPlan& plan, const std::string& offsets) {
  plan.then("make a time namespace",
            [offsets]() noexcept { return sys::make_time_namespace(offsets.data(), offsets.size()); });
}

void add_session_keyring(LaunchPlan& plan, const std::string& unit_id) {
  plan.then("join a new session keyring", [name = "_ses." + unit_id]() noexcept {
    const int error = sys::join_new_session_keyring(name.c_str());
    return error == ENOSYS || error == EDQUOT || error == EPERM ? 0 : error;
  });
}

void add_umask(LaunchPlan& plan, mode_t umask) {
  plan.finally("set the umask", [umask]() noexcept {
    ::umask(umask);
    return 0;
  });
}

}  // namespace berth::isolate
