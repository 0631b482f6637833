// What the vm unit hands berth-vmm: descriptors under fixed numbers, and a task in JSON.
#pragma once

#include <string>
#include <string_view>

#include "vmm/description.hpp"

namespace berth::vmm {

enum UnitFd : int {
  kStarterFd = 3,   // a message socket to whoever starts the unit
  kTaskFd = 4,      // a file: {"machine": a description, "start": the guest's configuration}
  kListenerFd = 5,  // a listening stream socket: each connection becomes one to the guest
  kEndingFd = 6,    // a file that takes the reason of an end which is not the workload's
  kConsoleFd = 7,   // a file that takes the guest's console
  kInitramfsFd = 8,
  kKernelFd = 9,
  kNetworkFd = 10,    // where the machine has a network
  kFirstDiskFd = 11,  // the others follow
};
inline constexpr std::uint64_t kMaxConsoleBytes = std::uint64_t{1} << 20;

// Messages on the starter's socket. It says kGo once the process is in its control group.
inline constexpr std::string_view kGo = "go";
inline constexpr char kStartedWord = 's';  // the workload's program runs
inline constexpr char kFailedWord = 'f';   // followed by an error as relay::encode_error() has it

struct UnitTask {
  Description machine;
  std::string start;  // JSON, for the guest
  bool tty = false;
};
Result<UnitTask> parse_unit_task(std::string_view json);

}  // namespace berth::vmm
