// What a unit uses, in the words of runc's `events --stats`, which clients parse.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "sys/cgroup.hpp"

namespace berth::isolate {

// The "data" of a stats event: cpu, memory, pids and blkio, times in nanoseconds, sizes in bytes; no
// limit is UINT64_MAX. Figures of controllers that the group does not have are left out.
Result<Json> runtime_stats(sys::Cgroup& group);

}  // namespace berth::isolate
