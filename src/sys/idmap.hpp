// User namespaces as carriers of id mappings, for idmapped mounts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

struct IdRange {
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 0;
};
// "0 100000 65536\n" for each: what /proc/PID/uid_map takes.
std::string id_map_text(std::span<const IdRange> ranges);

// Gives the user namespace that process `pid` is in its mappings: directly, or for an ordinary user by
// newuidmap and newgidmap (package uidmap) where it maps more than that user. Who cannot but map its own
// group gives up setgroups(2) for it.
Result<void> write_id_maps(pid_t pid, std::span<const IdRange> users, std::span<const IdRange> groups);

// A user namespace of these mappings, in which nobody lives. Neither may be empty.
Result<Fd> make_id_mapping(std::span<const IdRange> users, std::span<const IdRange> groups);
// A user namespace that maps `count` ids from 0 on to `host_start` on, users and groups alike.
Result<Fd> make_id_mapping(std::uint32_t host_start, std::uint32_t count);

}  // namespace berth::sys
