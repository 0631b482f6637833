// One machine from its description to its end, its serial port on two descriptors.
#pragma once

#include "device/end.hpp"
#include "vmm/description.hpp"

namespace berth::vmm {

// An error is the monitor's or the description's; however the guest ends, there is an End.
Result<device::End> run_machine(const Description& description, int input, int output);

// "the guest powered off", ...
std::string describe(device::End end);
// What a program that ran the machine exits with: 0 after power-off, the low 8 bits of a debug exit's code,
// and 64 and up for the others, each its own.
int exit_code(device::End end);

}  // namespace berth::vmm
