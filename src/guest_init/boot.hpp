// From a freshly booted kernel to a machine in which containers can be made.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.hpp"
#include "isolate/config.hpp"

namespace berth::guest_init {

inline constexpr const char* kLayers = "/layers";

// The directories of the one instance that a guest has.
isolate::InstancePaths instance_paths();

// Mounts what every Linux has, loads the initramfs's modules, and makes a tmpfs the root.
Result<void> boot();

// The machine's disk number `index` becomes /layers/`index`.
Result<void> mount_layer(std::size_t index);

// The guest's own loopback, and eth0 with its address and route.
Result<void> set_up_network(const isolate::GuestInterface& interface);

}  // namespace berth::guest_init
