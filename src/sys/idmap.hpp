// User namespaces as carriers of id mappings, for idmapped mounts.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// A user namespace that maps `count` ids from 0 on to `host_start` on, users and groups alike. Nobody lives
// in it.
Result<Fd> make_id_mapping(std::uint32_t host_start, std::uint32_t count);

}  // namespace berth::sys
