// One machine that runs an image's program, as the vm unit wants it.
#pragma once

#include "base/result.hpp"

namespace berth::vmm {

// With descriptors and task as unit_task.hpp has them, standard streams being the workload's. Gives the exit
// code: the workload's, or 125 where the machine ended otherwise, whose reason kEndingFd has.
int run_unit();

}  // namespace berth::vmm
