// The right to use an I/O port.
#pragma once

#include "engine/soft/cpu.hpp"

namespace berth::engine::soft {

// #GP(0) where neither IOPL nor the TSS's bit map allows it (SDM vol. 1, 19.5).
void check_port(Cpu& cpu, std::uint16_t port, unsigned bytes);

}  // namespace berth::engine::soft
