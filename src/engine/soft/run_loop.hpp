// The interpreter's outer loop: what happens between instructions.
#pragma once

#include "engine/soft/cpu.hpp"

namespace berth::engine::soft {

// Makes the host's floating-point control the guest's, and has the loop look at interrupts.
void begin_run(Cpu& cpu);

// Executes until something outside has to act.
VmExit run_until_exit(Cpu& cpu);

// What the loop would go on with, where nothing else is to be done first; else null.
const Op* next_in_line(Cpu& cpu);

}  // namespace berth::engine::soft
