// When, where and how urgently a process runs: scheduler (sched_setattr(2)), processors
// (sched_setaffinity(2)) and disk requests (ioprio_set(2)). All hold for the calling process and are kept
// over exec.
#pragma once

#include <sched.h>

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace berth::sys {

struct Scheduling {
  std::uint32_t policy = 0;  // SCHED_*
  std::int32_t nice = 0;
  std::uint32_t priority = 0;  // of SCHED_FIFO and SCHED_RR: 1 to 99
  std::uint64_t flags = 0;     // SCHED_FLAG_*
  std::uint64_t runtime_ns = 0;
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
  bool operator==(const Scheduling&) const = default;
};

// "SCHED_BATCH", "SCHED_FLAG_RESET_ON_FORK"; InvalidArgument lists what there is. SCHED_ISO is reserved by
// the kernel but was never made.
Result<std::uint32_t> scheduling_policy(std::string_view name);
Result<std::uint64_t> scheduling_flag(std::string_view name);

// What cannot belong together (sched(7)): a priority without a real-time policy, times without
// SCHED_DEADLINE, a nice value out of -20 to 19. InvalidArgument, the message begins with the member's name
// as the runtime spec has it.
Result<void> check_scheduling(const Scheduling& wanted);

struct IoPriority {
  int kind = 0;   // IOPRIO_CLASS_*: 1 real time, 2 best effort, 3 idle
  int level = 0;  // 0, the most urgent, to 7
};
// "IOPRIO_CLASS_BE".
Result<int> io_priority_class(std::string_view name);

// "0-3,6" as a set; processors above CPU_SETSIZE are refused.
Result<cpu_set_t> parse_cpu_set(std::string_view list);

// Of the calling process.
Result<Scheduling> get_scheduling();

// --- between fork and exec: 0 or errno ---
int set_scheduling(const Scheduling& wanted) noexcept;
int set_io_priority(const IoPriority& wanted) noexcept;
int set_cpu_affinity(const cpu_set_t& processors) noexcept;

}  // namespace berth::sys
