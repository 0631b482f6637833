#include "node/run_options.hpp"

#include <fmt/core.h>
#include <stdlib.h>

#include <array>

#include "base/text.hpp"
#include "node/instance_store.hpp"
#include "node/names.hpp"
#include "node/option_parts.hpp"
#include "sys/signals.hpp"
#include "unit/unit.hpp"

namespace berth::node {
namespace {

using isolate::NetworkMode;
using isolate::RestartMode;
using isolate::UnitConfig;
using isolate::UnitKind;

constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Result<std::pair<std::string, std::string>> key_value(const std::string& option, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == 0 || text.empty())
    return fail(Code::InvalidArgument, fmt::format("{} {}: expected KEY=VALUE", option, text));
  if (equals == std::string::npos) return std::pair{text, std::string()};
  return std::pair{text.substr(0, equals), text.substr(equals + 1)};
}

// A host command sees what a program started by hand would need; the rest of the caller's environment is not
// kept.
Result<void> add_host_env(std::vector<std::string>& env) {
  for (const auto* key : {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "TZ"})
    TRY(add_env(env, key));
  return {};
}

Result<std::vector<std::string>> make_env(const RunOptions& options, const image::ResolvedImage* image) {
  std::vector<std::string> env = {std::string(kDefaultPath)};
  if (image == nullptr) TRY(add_host_env(env));
  if (options.tty) TRY(add_env(env, "TERM=xterm"));
  if (image != nullptr) {
    for (const std::string& setting : image->config.env) TRY_DURING("the image's Env", add_env(env, setting));
  }
  for (const std::string& path : options.env_files) TRY(add_env_file(env, path));
  for (const std::string& setting : options.env) TRY_DURING("-e", add_env(env, setting));
  return env;
}

// Docker's rule: an entrypoint of one's own also does without the image's command.
Result<std::vector<std::string>> make_args(const RunOptions& options, const image::ResolvedImage* image) {
  std::vector<std::string> args;
  if (options.entrypoint && !options.entrypoint->empty()) args = {*options.entrypoint};
  if (!options.entrypoint && image != nullptr) args = image->config.entrypoint;
  std::vector<std::string> command = options.command;
  if (command.empty() && !options.entrypoint && image != nullptr) command = image->config.cmd;
  args.insert(args.end(), command.begin(), command.end());
  if (args.empty() || args[0].empty()) {
    return fail(Code::InvalidArgument, image == nullptr
                                           ? "no command: give one after --"
                                           : "the image names no command to run: give one after it");
  }
  return args;
}

Result<void> apply_image(UnitConfig& config, const RunOptions& options, const image::ResolvedImage& image) {
  config.image = image.record.name.empty() ? options.image : image.record.name;
  config.image_id = image.record.config.text();
  config.rootfs.layers = image.layers;
  config.rootfs.read_only = options.read_only;
  config.user = options.user.empty() ? image.config.user : options.user;
  if (!image.config.working_dir.empty()) config.cwd = image.config.working_dir;
  config.labels = image.config.labels;
  if (!image.config.stop_signal.empty()) {
    config.stop_signal = TRY_DURING("the image's StopSignal", sys::parse_signal(image.config.stop_signal));
  }
  return {};
}

Result<void> apply_host(UnitConfig& config, const RunOptions& options) {
  if (config.unit != UnitKind::Process) {
    return fail(Code::InvalidArgument,
                fmt::format("--unit {}: an image is needed; only --unit process can run a host "
                            "command (-- COMMAND)",
                            options.unit));
  }
  if (options.read_only)
    return fail(Code::InvalidArgument, "--read-only: a host command uses the host's own root");
  config.user = options.user;
  return {};
}

Result<void> apply_plain(UnitConfig& config, const RunOptions& options) {
  config.tty = options.tty;
  config.stdin_open = options.interactive;
  config.init = options.init;
  config.privileged = options.privileged;
  config.remove_on_exit = options.remove;
  if (config.unit != UnitKind::Process) config.hostname = config.id.substr(0, 12);
  if (!options.hostname.empty()) config.hostname = options.hostname;
  if (!options.workdir.empty()) config.cwd = options.workdir;
  if (config.cwd.empty() || config.cwd[0] != '/') {
    return fail(Code::InvalidArgument, fmt::format("--workdir {}: must be an absolute path", config.cwd));
  }
  for (const std::string& label : options.labels) {
    auto [key, value] = TRY(key_value("--label", label));
    config.labels[key] = value;
  }
  for (const std::string& sysctl : options.sysctls) {
    auto [key, value] = TRY(key_value("--sysctl", sysctl));
    config.sysctls[key] = value;
  }
  return {};
}

Result<void> apply_network(UnitConfig& config, const RunOptions& options) {
  if (!options.publish.empty()) {
    return fail(Code::Unimplemented,
                "-p: berth has no networks with addresses of their own yet: use --network host, where "
                "the unit's ports are the host's");
  }
  constexpr std::string_view kTap = "tap:";
  const std::string& mode = options.network;
  if (mode.empty()) {
    config.network = unit::unit_of(config.unit).default_network();
  } else if (mode.starts_with(kTap)) {
    config.network = NetworkMode::Tap;
    config.interface = TRY(parse_tap(mode.substr(kTap.size())));
  } else if (mode == "none" || mode == "host" || mode == "user") {
    config.network = mode == "none"   ? NetworkMode::None
                     : mode == "host" ? NetworkMode::Host
                                      : NetworkMode::User;
  } else {
    return fail(
        Code::Unimplemented,
        fmt::format("--network {}: not yet: use none or host; for a vm none, user or tap:NAME,ip=...", mode));
  }
  return {};
}

Result<void> apply_security_option(UnitConfig& config, const std::string& text) {
  const auto equals = std::min(text.find_first_of("=:"), text.size());
  const std::string key = text.substr(0, equals);
  const std::string value = equals < text.size() ? text.substr(equals + 1) : "";
  if (key == "no-new-privileges" && (value.empty() || value == "true" || value == "false")) {
    config.no_new_privileges = value != "false";
    return {};
  }
  if (key == "seccomp" && !value.empty()) {
    const bool named = value == "unconfined" || value == "default";
    config.seccomp = named ? value : TRY_DURING("--security-opt seccomp", sys::read_file(value, 4 << 20));
    return {};
  }
  return fail(Code::InvalidArgument,
              fmt::format("--security-opt {}: berth knows seccomp=FILE, seccomp=unconfined and "
                          "no-new-privileges[=true|false]",
                          text));
}

Result<void> apply_security(UnitConfig& config, const RunOptions& options) {
  config.cap_add = options.cap_add;
  config.cap_drop = options.cap_drop;
  for (const std::string& option : options.security) TRY(apply_security_option(config, option));
  if (!options.userns.empty() && options.userns != "host") config.userns = TRY(parse_userns(options.userns));
  for (const std::string& limit : options.ulimits) config.rlimits.push_back(TRY(parse_ulimit(limit)));
  return {};
}

Result<void> apply_lifecycle(UnitConfig& config, const RunOptions& options) {
  if (!options.restart.empty()) config.restart = TRY(parse_restart(options.restart));
  if (options.remove && config.restart.mode != RestartMode::No) {
    return fail(Code::InvalidArgument,
                "--rm and --restart: an instance that is removed when it ends cannot be restarted");
  }
  if (!options.stop_signal.empty())
    config.stop_signal = TRY_DURING("--stop-signal", sys::parse_signal(options.stop_signal));
  if (!options.stop_timeout.empty()) {
    config.stop_timeout = TRY_DURING("--stop-timeout", parse_duration(options.stop_timeout));
  }
  return {};
}

}  // namespace

Result<void> add_env(std::vector<std::string>& env, const std::string& setting) {
  const auto equals = setting.find('=');
  if (setting.empty() || equals == 0) {
    return fail(Code::InvalidArgument,
                fmt::format("\"{}\": expected KEY=VALUE, or KEY for the caller's value", setting));
  }
  const std::string key = setting.substr(0, equals);
  const bool given = equals != std::string::npos;
  const char* value = given ? nullptr : ::getenv(key.c_str());
  if (!given && value == nullptr) return {};
  std::erase_if(env, [&](const std::string& old) { return old.starts_with(key + "="); });
  env.push_back(given ? setting : fmt::format("{}={}", key, value));
  return {};
}

Result<void> add_env_file(std::vector<std::string>& env, const std::string& path) {
  const std::string content = TRY_DURING(fmt::format("--env-file {}", path), sys::read_file(path, 1 << 20));
  for (const std::string& line : split(content, '\n')) {
    const auto setting = trim(line);
    if (!setting.empty() && setting[0] != '#')
      TRY_DURING(fmt::format("--env-file {}", path), add_env(env, std::string(setting)));
  }
  return {};
}

Result<isolate::RestartPolicy> parse_restart(const std::string& text) {
  constexpr std::string_view kOnFailure = "on-failure:";
  if (text == "no") return isolate::RestartPolicy{RestartMode::No, 0};
  if (text == "always") return isolate::RestartPolicy{RestartMode::Always, 0};
  if (text == "unless-stopped") return isolate::RestartPolicy{RestartMode::UnlessStopped, 0};
  if (text == "on-failure") return isolate::RestartPolicy{RestartMode::OnFailure, 0};
  if (text.starts_with(kOnFailure)) {
    const auto count = parse_u64(std::string_view(text).substr(kOnFailure.size()));
    if (count && *count <= UINT32_MAX)
      return isolate::RestartPolicy{RestartMode::OnFailure, static_cast<unsigned>(*count)};
  }
  return fail(Code::InvalidArgument,
              fmt::format("--restart {}: use no, on-failure, on-failure:N, always or unless-stopped", text));
}

std::string restart_text(const isolate::RestartPolicy& policy) {
  switch (policy.mode) {
    case RestartMode::No:
      return "no";
    case RestartMode::Always:
      return "always";
    case RestartMode::UnlessStopped:
      return "unless-stopped";
    case RestartMode::OnFailure:
      break;
  }
  return policy.max_retries == 0 ? "on-failure" : fmt::format("on-failure:{}", policy.max_retries);
}

Result<UnitConfig> make_config(const RunOptions& options, const image::ResolvedImage* image) {
  UnitConfig config;
  config.id = new_id();
  config.name = options.name.empty() ? generate_name() : options.name;
  TRY(check_name(config.name));
  config.created_ns = now_ns();
  config.unit = TRY_DURING("--unit", isolate::parse_unit(options.unit));
  TRY(image != nullptr ? apply_image(config, options, *image) : apply_host(config, options));
  config.args = TRY(make_args(options, image));
  config.env = TRY(make_env(options, image));
  TRY(apply_plain(config, options));
  TRY(apply_network(config, options));
  for (const std::string& volume : options.volumes) config.volumes.push_back(TRY(parse_volume(volume)));
  for (const std::string& tmpfs : options.tmpfs) config.volumes.push_back(TRY(parse_tmpfs(tmpfs)));
  for (const std::string& device : options.devices) config.devices.push_back(TRY(parse_device(device)));
  config.resources = TRY(make_resources(options));
  TRY(apply_security(config, options));
  TRY(apply_lifecycle(config, options));
  return config;
}

}  // namespace berth::node
