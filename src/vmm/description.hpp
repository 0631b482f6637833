// What machine to run, as berth-vmm is told in JSON.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::vmm {

// Interpreter and Translator are the software engine without and with its second tier.
enum class EngineChoice { Auto, Interpreter, Translator, Kvm };

struct DiskDescription {
  std::string path;  // a raw file, or "fd:9" for a descriptor handed in; "path"
  bool read_only = false;
  std::string id;  // the serial number that the guest sees; "id"
};

enum class NetworkKind { Stream, Tap };  // device::StreamPort, device::TapPort

struct NetworkDescription {
  NetworkKind kind = NetworkKind::Stream;  // "kind": "stream" or "tap"
  std::string path;                        // "fd:10": a descriptor handed in; "path"
  std::array<std::uint8_t, 6> mac{};       // "mac": "02:00:00:00:00:01"
};

struct Description {
  std::string kernel;     // path, or "fd:9"; "kernel"
  std::string initramfs;  // the same, or empty; "initramfs"
  std::string command_line;
  std::uint64_t memory_bytes = std::uint64_t{256} << 20;  // "memory": bytes, or a size as "512M"
  unsigned vcpus = 1;
  std::vector<DiskDescription> disks;         // in order: /dev/vda, /dev/vdb, ...
  std::optional<NetworkDescription> network;  // "network": the one interface, eth0
  EngineChoice engine = EngineChoice::Auto;   // "auto", "interpreter", "soft" or "kvm"
};

// Unknown members are refused, so that a misspelt one is not silently without effect.
Result<Description> parse_description(std::string_view json);

}  // namespace berth::vmm
