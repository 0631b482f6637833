// AF_UNIX byte streams that other programs listen on (console sockets, seccomp agents, readiness
// notification), and handing them descriptors.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// NotFound or Unavailable where nobody listens at `path`, which may be of any length.
Result<Fd> connect_stream(const std::string& path);

// A listening socket `directory`/`name` (an older one is replaced), reachable by its owner only;
// non-blocking.
Result<Fd> listen_stream(const std::string& directory, const std::string& name);

// All of `data`, blocking; `descriptors` (at most 16) go with its first byte (SCM_RIGHTS). `data` is not
// empty.
Result<void> send_with_descriptors(int socket, std::string_view data, std::span<const int> descriptors);

}  // namespace berth::sys
