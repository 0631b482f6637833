// Kernel parameters below /proc/sys.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::sys {

// "net.ipv4.ip_forward" or "net/ipv4/ip_forward" as the path below /proc/sys. As sysctl(8): the separator
// that comes first separates, the other one stands for the first ("net.ipv4.conf.eth0/100.forwarding").
// InvalidArgument for a name that could lead elsewhere.
Result<std::string> sysctl_path(std::string_view key);

// Between fork and exec: 0 or errno. `path` as above. Only a procfs is written to, and no symlink or other
// mount below it is entered (EXDEV, ELOOP).
int write_sysctl(const char* path, const char* value, std::size_t length) noexcept;

}  // namespace berth::sys
