// Hardware task switches (SDM vol. 3, chapter 7).
#pragma once

#include <cstdint>

#include "engine/soft/cpu.hpp"
#include "x86/descriptor.hpp"

namespace berth::engine::soft {

enum class TaskSwitch : std::uint8_t { Jump, Call, Return, Event };

// Switches to the task whose TSS `selector` names; `descriptor` is its, checked to be an available (for
// Return: busy) TSS. `next_rip` is saved in the old task.
void switch_task(Cpu& cpu, std::uint16_t selector, const x86::Descriptor& descriptor, TaskSwitch kind,
                 std::uint64_t next_rip);
// Through a task gate of the IDT; pushes the error code on the new stack.
void deliver_through_task(Cpu& cpu, std::uint16_t selector, const x86::Event& event);

}  // namespace berth::engine::soft
