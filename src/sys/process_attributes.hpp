// What a process carries over exec besides its credentials and its scheduling. The noexcept functions serve
// between fork and exec: 0 or errno, no allocation.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::sys {

// personality(2): Linux32 makes uname(2) name a 32-bit machine ("i686").
enum class Personality { Linux, Linux32 };
int set_personality(Personality personality) noexcept;

// A new, empty session keyring of that name (keyrings(7)): the host's keys are then out of reach. ENOSYS on a
// kernel without keys; EDQUOT where the user has too many.
int join_new_session_keyring(const char* name) noexcept;

int set_domainname(const char* name, std::size_t length) noexcept;

// -1000 to 1000 (proc(5), oom_score_adj). Without CAP_SYS_RESOURCE it cannot go below what the process was
// given: PermissionDenied then.
Result<void> set_oom_score_adjustment(pid_t pid, int score);
Result<int> oom_score_adjustment(pid_t pid);

// What /proc/PID/timens_offsets takes (time_namespaces(7)).
std::string time_offset_line(std::string_view clock, std::int64_t seconds, std::uint32_t nanoseconds);
// Makes a time namespace whose clocks differ by these lines; the process is in it from its next exec on. Its
// own /proc must be in place. ERANGE where a clock would run backwards out of its range.
int make_time_namespace(const char* offsets, std::size_t length) noexcept;

}  // namespace berth::sys
