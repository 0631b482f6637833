// How the child gets into namespaces that others made, and into those that only a second process can be born
// in.
#pragma once

#include <string_view>

#include "isolate/child.hpp"

namespace berth::isolate {

// Whether the workload's process must be a second one: a process that joins a pid namespace or makes a time
// namespace stays outside of it itself.
bool needs_second_process(const LaunchPlan& plan);

// In the first process: enters plan.joins and starts the second one, as a child of the launcher, with the new
// namespaces. Comes back in that one alone. Allocates nothing.
void continue_in_namespaces(ChildImage& image) noexcept;

// Waits until the launcher has placed this process; tells it its own number.
void wait_for_launcher(ChildImage& image) noexcept;

// Tells the launcher what failed, and ends. Who opened the gate knows nothing of the plan: it gets `what`
// besides.
[[noreturn]] void give_up(const ChildImage& image, Report report, int first, int error,
                          std::string_view what = {}) noexcept;

}  // namespace berth::isolate
