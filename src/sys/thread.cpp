#include "sys/thread.hpp"

#include <sys/prctl.h>

namespace berth::sys {

void set_thread_name(const char* name) noexcept { ::prctl(PR_SET_NAME, name, 0, 0, 0); }

void set_timer_slack_ns(std::uint64_t ns) noexcept { ::prctl(PR_SET_TIMERSLACK, ns, 0, 0, 0); }

}  // namespace berth::sys
