// The calling thread, as the kernel knows it.
#pragma once

#include <cstdint>

namespace berth::sys {

void set_thread_name(const char* name) noexcept;  // 15 characters at most
// How late the kernel may wake this thread from a timed sleep; 50 us without it.
void set_timer_slack_ns(std::uint64_t ns) noexcept;

}  // namespace berth::sys
