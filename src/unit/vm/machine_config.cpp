#include "unit/vm/machine_config.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "sys/user_map.hpp"
#include "unit/vm/user_network.hpp"
#include "vmm/virtual_machine.hpp"

namespace berth::unit {
namespace {

constexpr std::uint64_t kStep = std::uint64_t{2} << 20;
// Devices, page tables, the kernel as it is loaded; and of each processor, the translated code of the guest.
constexpr std::uint64_t kMonitorBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kProcessorBytes = std::uint64_t{128} << 20;

Failure refuse(std::string_view option, std::string_view why) {
  return fail(Code::InvalidArgument, fmt::format("{}: a virtual machine {}", option, why));
}

}  // namespace

Result<void> check_machine(const isolate::UnitConfig& config) {
  if (config.rootfs.layers.empty()) return refuse("--unit vm", "needs an image");
  if (config.rootfs.layers.size() > kMaxLayers)
    return refuse("--unit vm", fmt::format("has room for {} layers, the image has {}", kMaxLayers,
                                           config.rootfs.layers.size()));
  if (config.network == isolate::NetworkMode::Host)
    return refuse("--network host",
                  "has an interface of its own: use user, tap:NAME,ip=ADDRESS/BITS or none");
  if (config.network == isolate::NetworkMode::Tap && !config.interface)
    return refuse("--network tap",
                  "needs the host's device and the guest's address: tap:NAME,ip=ADDRESS/BITS");
  for (const auto& volume : config.volumes)
    if (!volume.tmpfs)
      return refuse("--volume", "cannot share the host's files yet: use --tmpfs, or --unit container");
  if (!config.devices.empty()) return refuse("--device", "has devices of its own");
  if (config.userns) return refuse("--userns", "has users of its own");
  if (config.resources.cpus.value_or(1) > vmm::kMaxVcpus)
    return refuse("--cpus", fmt::format("has {} processors at most", vmm::kMaxVcpus));
  if (config.resources.memory_bytes.value_or(kLeastMemoryBytes) < kLeastMemoryBytes)
    return refuse("--memory", fmt::format("needs {} or more", format_size(kLeastMemoryBytes)));
  return {};
}

std::uint64_t guest_memory_bytes(const isolate::UnitConfig& config) {
  return (config.resources.memory_bytes.value_or(kDefaultMemoryBytes) + kStep - 1) / kStep * kStep;
}

unsigned guest_processors(const isolate::UnitConfig& config) {
  return std::max(1U, static_cast<unsigned>(std::ceil(config.resources.cpus.value_or(1))));
}

sys::Resources machine_resources(const isolate::UnitConfig& config) {
  sys::Resources resources = config.resources;
  if (resources.memory_bytes)
    resources.memory_bytes =
        guest_memory_bytes(config) + kMonitorBytes + guest_processors(config) * kProcessorBytes;
  resources.pids.reset();
  return resources;
}

isolate::UnitConfig guest_config(const isolate::UnitConfig& config) {
  isolate::UnitConfig guest = config;
  guest.unit = isolate::UnitKind::Container;
  guest.rootfs.user_xattrs = sys::in_user_namespace();  // whoever unpacked the layers marked them so
  guest.resources = {};
  guest.resources.pids = config.resources.pids;
  if (config.network == isolate::NetworkMode::User) guest.interface = user_interface();
  if (guest.interface) guest.network = isolate::NetworkMode::Host;
  guest.remove_on_exit = true;  // nothing of it outlives the machine
  // The kernel is the guest's own: a filter would guard nothing of the host's, and cost at each start.
  if (guest.seccomp == "default") guest.seccomp = "unconfined";
  return guest;
}

}  // namespace berth::unit
