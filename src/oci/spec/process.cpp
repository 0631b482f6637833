#include "oci/spec/process.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.hpp"

namespace berth::oci {
namespace {

constexpr std::uint64_t kMaxId = UINT32_MAX - 1;  // (uid_t)-1 means "no change" to the kernel
constexpr std::size_t kMaxGroups = 65536;         // NGROUPS_MAX

Result<std::uint32_t> as_id(const JsonView& view) {
  const std::uint64_t id = TRY(view.as_uint());
  if (id > kMaxId) return view.bad(fmt::format("{} is no user or group: at most {}", id, kMaxId));
  return static_cast<std::uint32_t>(id);
}

Result<void> read_user(const JsonView& view, Process& process) {
  process.uid = TRY(read_id(view, "uid"));
  process.gid = TRY(read_id(view, "gid"));
  if (const auto mask = TRY(view.find("umask"))) {
    const std::uint64_t bits = TRY(mask->as_uint());
    if (bits > 0777) return mask->bad("at most 511 (octal 777)");
    process.umask = static_cast<mode_t>(bits);
  }
  const auto groups = TRY(view.array_or_empty("additionalGids"));
  if (groups.size() > kMaxGroups) return view.bad("additionalGids: more than 65536 groups");
  for (const JsonView& group : groups) process.additional_gids.push_back(TRY(as_id(group)));
  return {};
}

Result<sys::CapabilityMask> read_set(const JsonView& view, std::string_view key) {
  sys::CapabilityMask mask = 0;
  for (const JsonView& item : TRY(view.array_or_empty(key))) {
    const std::string name = TRY(item.as_string());
    const auto number = sys::capability_number(name);
    if (number)
      mask |= sys::capability_bit(*number);
    else
      log::warn("{}: \"{}\" is not a capability of Linux; ignored", item.path(), name);
  }
  return mask;
}

Result<sys::CapabilitySets> read_capabilities(const JsonView& view) {
  sys::CapabilitySets sets;
  sets.bounding = TRY(read_set(view, "bounding"));
  sets.effective = TRY(read_set(view, "effective"));
  sets.inheritable = TRY(read_set(view, "inheritable"));
  sets.permitted = TRY(read_set(view, "permitted"));
  sets.ambient = TRY(read_set(view, "ambient"));
  return sets;
}

Result<std::vector<isolate::Rlimit>> read_rlimits(const JsonView& view) {
  std::vector<isolate::Rlimit> rlimits;
  for (const JsonView& item : TRY(view.array_or_empty("rlimits"))) {
    isolate::Rlimit limit{TRY(item.string("type")), TRY(item.uint("soft")), TRY(item.uint("hard"))};
    const bool twice = std::any_of(rlimits.begin(), rlimits.end(),
                                   [&](const isolate::Rlimit& other) { return other.name == limit.name; });
    if (twice) return item.bad(fmt::format("type: {} is there already", limit.name));
    if (limit.soft > limit.hard) return item.bad("soft: is above hard");
    rlimits.push_back(std::move(limit));
  }
  return rlimits;
}

Result<std::optional<sys::WindowSize>> read_console_size(const JsonView& view) {
  const auto size = TRY(view.find("consoleSize"));
  if (!size) return std::optional<sys::WindowSize>{};
  const std::uint64_t height = TRY(size->uint("height"));
  const std::uint64_t width = TRY(size->uint("width"));
  if (height > UINT16_MAX || width > UINT16_MAX) return size->bad("at most 65535 by 65535");
  return std::optional(
      sys::WindowSize{static_cast<unsigned short>(height), static_cast<unsigned short>(width)});
}

Result<void> read_words(const JsonView& view, Process& process) {
  process.args = TRY(view.strings_or_empty("args"));
  process.env = TRY(view.strings_or_empty("env"));
  process.cwd = TRY(view.string("cwd"));
  if (!process.cwd.starts_with('/')) return TRY(view.at("cwd")).bad("not an absolute path");
  const auto has_nul = [](const std::string& word) { return word.find('\0') != std::string::npos; };
  if (std::any_of(process.args.begin(), process.args.end(), has_nul)) return view.bad("args: a NUL in it");
  if (std::any_of(process.env.begin(), process.env.end(), has_nul)) return view.bad("env: a NUL in it");
  return {};
}

}  // namespace

Result<std::uint32_t> read_id(const JsonView& view, std::string_view key) {
  const auto member = TRY(view.find(key));
  return member ? as_id(*member) : Result<std::uint32_t>(0);
}

Result<Process> Process::from_json(const JsonView& view) {
  Process process;
  process.terminal = TRY(view.bool_or("terminal", false));
  process.console_size = TRY(read_console_size(view));
  if (const auto user = TRY(view.find("user"))) TRY(read_user(*user, process));
  TRY(read_words(view, process));
  if (const auto sets = TRY(view.find("capabilities"))) process.capabilities = TRY(read_capabilities(*sets));
  process.rlimits = TRY(read_rlimits(view));
  process.no_new_privileges = TRY(view.bool_or("noNewPrivileges", false));
  process.attributes = TRY(isolate::parse_process_attributes(view));
  return process;
}

}  // namespace berth::oci
