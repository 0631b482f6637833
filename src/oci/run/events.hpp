// What a container uses, and what happens to it, as a stream of JSON lines (those of runc's `events`).
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/result.hpp"

namespace berth::oci {

// Takes one line, with its end; false: nobody reads on.
using TakeEvent = std::function<bool(std::string_view line)>;

// {"type":"stats","id":ID,"data":{...}}. FailedPrecondition for a container that has ended or has no control
// group.
Result<std::string> describe_usage(const std::string& root, const std::string& id);

// Figures each `interval` (more than 0), and {"type":"oom","id":ID} whenever the kernel ran out of the
// container's memory; until it ends.
Result<void> follow_events(const std::string& root, const std::string& id, std::chrono::milliseconds interval,
                           const TakeEvent& take);

}  // namespace berth::oci
