// Between the interpreter's own layout and x86::CpuState.
#pragma once

#include "engine/soft/cpu.hpp"

namespace berth::engine::soft {

void load_state(Cpu& cpu);   // from cpu.arch
void store_state(Cpu& cpu);  // into it

}  // namespace berth::engine::soft
