// Byte streams between a virtual machine and its host (vsock(7)).
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

inline constexpr std::uint32_t kVsockHost = 2;

Result<Fd> connect_vsock(std::uint32_t cid, std::uint32_t port);
Result<Fd> listen_vsock(std::uint32_t port);  // non-blocking
// Nothing where nobody is waiting. The new socket is blocking.
Result<std::optional<Fd>> accept_vsock(int listener);

}  // namespace berth::sys
