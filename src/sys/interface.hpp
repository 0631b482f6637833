// Network interfaces: a host's tap devices, and the addresses of a machine that one owns.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// A frame at a time, without a header of its own. The device must be there already and be this user's to use.
Result<Fd> open_tap(const std::string& name);

struct Ipv4Interface {
  std::uint32_t address = 0;  // as inet_pton(3) gives it
  unsigned prefix = 0;        // 1 to 31
  std::uint32_t gateway = 0;  // 0: none
};

// "192.0.2.7/24".
Result<Ipv4Interface> parse_ipv4_interface(const std::string& text);
Result<std::uint32_t> parse_ipv4(const std::string& text);

// Gives the interface its address, brings it up and routes all else by the gateway. NotFound where there is
// no interface of that name.
Result<void> configure_interface(const std::string& name, const Ipv4Interface& config);

// Whether this host has an IPv4 route to everywhere.
bool has_default_route();

}  // namespace berth::sys
