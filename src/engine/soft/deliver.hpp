// Delivery of exceptions and interrupts through the IDT.
#pragma once

#include "engine/soft/cpu.hpp"
#include "x86/descriptor.hpp"

namespace berth::engine::soft {

// Delivers cpu.event; when it gives back, execution goes on at the handler. May raise a further exception
// instead.
void deliver_event(Cpu& cpu);

// The stack pointer that the TSS has for `level`, and in protected mode its segment. Raises #TS.
struct InnerStack {
  std::uint16_t selector = 0;
  std::uint64_t pointer = 0;
};
InnerStack inner_stack(Cpu& cpu, unsigned level, std::uint32_t external);
// Checks the stack segment of an inner level and loads its descriptor (SDM vol. 3, 6.12.1).
x86::Descriptor check_inner_stack(Cpu& cpu, std::uint16_t selector, unsigned level, std::uint32_t external);

}  // namespace berth::engine::soft
