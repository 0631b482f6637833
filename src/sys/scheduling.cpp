#include "sys/scheduling.hpp"

#include <fmt/core.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "base/text.hpp"

namespace berth::sys {
namespace {

// <linux/sched.h> and <linux/ioprio.h> cannot be had next to glibc's <sched.h>; the numbers are the kernel's
// ABI.
constexpr std::uint32_t kOther = 0, kFifo = 1, kRoundRobin = 2, kBatch = 3, kIdle = 5, kDeadline = 6;
constexpr std::array<std::pair<std::string_view, std::uint32_t>, 6> kPolicies = {
    {{"SCHED_OTHER", kOther},
     {"SCHED_FIFO", kFifo},
     {"SCHED_RR", kRoundRobin},
     {"SCHED_BATCH", kBatch},
     {"SCHED_IDLE", kIdle},
     {"SCHED_DEADLINE", kDeadline}}};
constexpr std::array<std::pair<std::string_view, std::uint64_t>, 7> kFlags = {
    {{"SCHED_FLAG_RESET_ON_FORK", 0x01},
     {"SCHED_FLAG_RECLAIM", 0x02},
     {"SCHED_FLAG_DL_OVERRUN", 0x04},
     {"SCHED_FLAG_KEEP_POLICY", 0x08},
     {"SCHED_FLAG_KEEP_PARAMS", 0x10},
     {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
     {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}}};
constexpr std::array<std::pair<std::string_view, int>, 3> kIoClasses = {
    {{"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}}};
constexpr int kIoClassShift = 13;
constexpr int kWhoProcess = 1;  // IOPRIO_WHO_PROCESS

// struct sched_attr of its first version; a later one adds the utilization clamps.
struct SchedAttr {
  std::uint32_t size = sizeof(SchedAttr);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
static_assert(sizeof(SchedAttr) == 48);

template <typename T, std::size_t N>
Result<T> find(const std::array<std::pair<std::string_view, T>, N>& table, std::string_view name) {
  std::string known;
  for (const auto& [word, value] : table) {
    if (word == name) return value;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", word);
  }
  return fail(Code::InvalidArgument, fmt::format("\"{}\" is none of {}", name, known));
}

}  // namespace

Result<std::uint32_t> scheduling_policy(std::string_view name) { return find(kPolicies, name); }
Result<std::uint64_t> scheduling_flag(std::string_view name) { return find(kFlags, name); }
Result<int> io_priority_class(std::string_view name) { return find(kIoClasses, name); }

Result<void> check_scheduling(const Scheduling& wanted) {
  const bool real_time = wanted.policy == kFifo || wanted.policy == kRoundRobin;
  if (wanted.nice < -20 || wanted.nice > 19)
    return fail(Code::InvalidArgument, fmt::format("nice: {}: give -20 to 19", wanted.nice));
  if (wanted.priority != 0 && !real_time)
    return fail(Code::InvalidArgument, "priority: only SCHED_FIFO and SCHED_RR have one");
  if (real_time && (wanted.priority < 1 || wanted.priority > 99))
    return fail(Code::InvalidArgument, fmt::format("priority: {}: give 1 to 99", wanted.priority));
  const bool times = wanted.runtime_ns != 0 || wanted.deadline_ns != 0 || wanted.period_ns != 0;
  if (times && wanted.policy != kDeadline)
    return fail(Code::InvalidArgument, "runtime: runtime, deadline and period are SCHED_DEADLINE's alone");
  return {};
}

Result<cpu_set_t> parse_cpu_set(std::string_view list) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned processor : TRY(parse_cpu_list(list))) {
    if (processor >= CPU_SETSIZE)
      return fail(Code::OutOfRange, fmt::format("processor {}: give 0 to {}", processor, CPU_SETSIZE - 1));
    CPU_SET(processor, &set);
  }
  if (CPU_COUNT(&set) == 0) return fail(Code::InvalidArgument, "names no processor");
  return set;
}

Result<Scheduling> get_scheduling() {
  SchedAttr raw;
  if (::syscall(SYS_sched_getattr, 0, &raw, sizeof raw, 0) != 0)
    return fail_errno("cannot read the scheduling");
  Scheduling found{raw.policy, raw.nice, raw.priority, raw.flags};
  if (raw.policy != kDeadline) return found;  // since Linux 6.12 others tell their time slice there
  found.runtime_ns = raw.runtime;
  found.deadline_ns = raw.deadline;
  found.period_ns = raw.period;
  return found;
}

int set_scheduling(const Scheduling& wanted) noexcept {
  SchedAttr raw;
  raw.policy = wanted.policy;
  raw.flags = wanted.flags;
  raw.nice = wanted.nice;
  raw.priority = wanted.priority;
  raw.runtime = wanted.runtime_ns;
  raw.deadline = wanted.deadline_ns;
  raw.period = wanted.period_ns;
  return ::syscall(SYS_sched_setattr, 0, &raw, 0) == 0 ? 0 : errno;
}

int set_io_priority(const IoPriority& wanted) noexcept {
  const int value = wanted.kind << kIoClassShift | wanted.level;
  return ::syscall(SYS_ioprio_set, kWhoProcess, 0, value) == 0 ? 0 : errno;
}

int set_cpu_affinity(const cpu_set_t& processors) noexcept {
  return ::sched_setaffinity(0, sizeof processors, &processors) == 0 ? 0 : errno;
}

}  // namespace berth::sys
