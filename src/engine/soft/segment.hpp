// Segment registers and descriptor tables.
#pragma once

#include "engine/soft/access.hpp"
#include "x86/descriptor.hpp"

namespace berth::engine::soft {

inline bool is_null(std::uint16_t selector) { return (selector & ~3) == 0; }

// The linear address of a selector's descriptor. Raises `vector` with the selector where it is outside its
// table; `external` is the EXT bit of the error code.
std::uint64_t descriptor_address(Cpu& cpu, std::uint16_t selector, x86::Vector vector,
                                 std::uint32_t external = 0);
// Whether it is inside, without raising.
bool has_descriptor(Cpu& cpu, std::uint16_t selector);
x86::Descriptor read_descriptor(Cpu& cpu, std::uint16_t selector, x86::Vector vector,
                                std::uint32_t external = 0);
// The base of a system descriptor of IA-32e mode, which is twice as long.
std::uint64_t read_long_base(Cpu& cpu, std::uint16_t selector, const x86::Descriptor& descriptor);
void mark_accessed(Cpu& cpu, std::uint16_t selector, x86::Descriptor& descriptor);

// MOV to ES, SS, DS, FS or GS with all its checks (SDM vol. 2, MOV). Raises with `base_vector` where a task
// switch wants #TS.
void load_segment(Cpu& cpu, x86::SegmentName name, std::uint16_t selector);
// As real and virtual-8086 mode load any of the six.
void load_real_segment(Cpu& cpu, x86::SegmentName name, std::uint16_t selector);
// CS and SS for a new privilege level; the caller has checked them. Recomputes the mode.
void set_code_segment(Cpu& cpu, std::uint16_t selector, const x86::Descriptor& descriptor, unsigned cpl);
void set_stack_segment(Cpu& cpu, std::uint16_t selector, const x86::Descriptor& descriptor, unsigned cpl);
void set_null_stack_segment(Cpu& cpu, std::uint16_t selector, unsigned cpl);
// After a return to an outer level: data segments that the new level may not use become null.
void drop_inner_segments(Cpu& cpu);

}  // namespace berth::engine::soft
