#include "oci/spec/annotations.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace berth::oci {
namespace {

constexpr std::string_view kKeepGroups = "run.oci.keep_original_groups";
constexpr std::string_view kPidfdReceiver = "run.oci.pidfd_receiver";
constexpr std::string_view kHooksStdout = "run.oci.hooks.stdout";
constexpr std::string_view kHooksStderr = "run.oci.hooks.stderr";
constexpr std::string_view kCriuConfig = "org.criu.config";
constexpr std::string_view kSubgroup = "run.oci.systemd.subgroup";
constexpr std::string_view kSystemdProperty = "org.systemd.property.";
constexpr std::string_view kMountContext = "run.oci.mount_context_type";

// mount(8), "Mount options for selinux".
constexpr std::array<std::string_view, 4> kContexts = {"context", "fscontext", "defcontext", "rootcontext"};

Failure bad(std::string_view key, std::string_view problem) {
  return fail(Code::InvalidArgument, fmt::format("config.annotations.{}: {}", key, problem));
}

Result<std::string> read_path(std::string_view key, const std::string& value) {
  if (!value.starts_with('/') || value.find('\0') != std::string::npos)
    return bad(key, "not an absolute path");
  return value;
}

Result<void> read(Wishes& wishes, std::string_view key, const std::string& value) {
  if (key == kKeepGroups) wishes.keep_groups = value != "0" && value != "false";
  if (key == kPidfdReceiver) wishes.pidfd_receiver = TRY(read_path(key, value));
  if (key == kCriuConfig) wishes.criu_config = TRY(read_path(key, value));
  if (key == kHooksStdout) wishes.hooks_stdout = TRY(read_path(key, value));
  if (key == kHooksStderr) wishes.hooks_stderr = TRY(read_path(key, value));
  if (key.starts_with(kSystemdProperty))
    wishes.systemd_properties.emplace_back(key.substr(kSystemdProperty.size()), value);
  if (key == kSubgroup) {
    const bool plain = value.find('/') == std::string::npos && value != "." && value != "..";
    if (!plain) return bad(key, "not the name of a control group");
    wishes.systemd_subgroup = value;
  }
  if (key == kMountContext) {
    if (std::find(kContexts.begin(), kContexts.end(), value) == kContexts.end())
      return bad(key, "give context, fscontext, defcontext or rootcontext");
    wishes.mount_context = value;
  }
  return {};
}

}  // namespace

Result<Wishes> read_wishes(const std::map<std::string, std::string>& annotations) {
  Wishes wishes;
  for (const auto& [key, value] : annotations) TRY(read(wishes, key, value));
  return wishes;
}

const std::vector<std::string_view>& unsafe_annotations() {
  static const std::vector<std::string_view> keys = {kCriuConfig,    kSystemdProperty, kHooksStderr,
                                                     kHooksStdout,   kKeepGroups,      kMountContext,
                                                     kPidfdReceiver, kSubgroup};
  return keys;
}

}  // namespace berth::oci
