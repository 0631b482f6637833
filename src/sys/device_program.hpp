// cgroup v2 has no device lists: an eBPF program of ours, run by the kernel at each open and mknod of a
// device, decides.
#pragma once

#include <cstdint>
#include <vector>

#include "sys/cgroup.hpp"

namespace berth::sys {

// One eBPF instruction, laid out as linux/bpf.h's struct bpf_insn.
struct BpfInstruction {
  std::uint8_t code = 0;
  std::uint8_t registers = 0;  // destination in the low four bits, source in the high
  std::int16_t offset = 0;
  std::int32_t immediate = 0;
};

// The rules as a BPF_PROG_TYPE_CGROUP_DEVICE program: the last rule that matches decides, an access that none
// names is allowed. An allowing rule matches where it names all that is asked for, a denying one where it
// names any of it.
std::vector<BpfInstruction> assemble_device_program(const std::vector<DeviceRule>& rules);

// Loads the program and makes it the only one of the group whose directory is `cgroup_fd`. There is no moment
// without one: the earlier goes after the new one has come.
Result<void> attach_device_program(int cgroup_fd, const std::vector<DeviceRule>& rules);

}  // namespace berth::sys
