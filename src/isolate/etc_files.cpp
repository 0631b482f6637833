// The three files of /etc that describe where the unit runs rather than what the image is.
#include <fmt/core.h>
#include <unistd.h>

#include "isolate/isolator.hpp"
#include "isolate/mount_steps.hpp"

namespace berth::isolate {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;

std::string hosts_of(const UnitConfig& config) {
  if (!config.owns_network()) return sys::read_file("/etc/hosts", kMaxFileBytes).value_or(std::string());
  const std::string name = config.hostname.empty() ? "" : fmt::format("127.0.1.1\t{}\n", config.hostname);
  return "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" + name;
}

std::string resolv_conf_of(const UnitConfig& config) {
  if (config.interface) {
    std::string text;
    for (const std::string& server : config.interface->dns) text += fmt::format("nameserver {}\n", server);
    return text;
  }
  if (config.network != NetworkMode::Host) return {};
  return sys::read_file("/etc/resolv.conf", kMaxFileBytes).value_or(std::string());
}

class EtcFiles final : public Isolator {
 public:
  std::string_view name() const override { return "etc-files"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    const UnitConfig& config = instance.config;
    if (config.rootfs.empty()) return {};  // a host command: these are the host's own files
    TRY(add(instance, plan, "hosts", hosts_of(config)));
    TRY(add(instance, plan, "hostname", config.hostname + "\n"));
    TRY(add(instance, plan, "resolv.conf", resolv_conf_of(config)));
    return {};
  }

 private:
  // Kept from one start to the next: a workload may have changed them.
  static Result<void> add(const Instance& instance, LaunchPlan& plan, const std::string& name,
                          const std::string& text) {
    const std::string path = instance.paths.state + "/" + name;
    if (!sys::exists(path)) TRY(sys::replace_file(path, text));
    if (instance.config.userns) {
      const auto id = instance.config.userns->host_start;
      if (::chown(path.c_str(), id, id) != 0) return fail_errno(fmt::format("cannot chown {}", path));
    }
    mount_prepared(plan, TRY(clone_host_path(path, false)), "/etc/" + name, sys::TargetKind::File);
    return {};
  }
};

}  // namespace

const Isolator& etc_files_isolator() {
  static const EtcFiles isolator;
  return isolator;
}

}  // namespace berth::isolate
