// berth-init: the first process in a virtual machine that runs an image.
#include <unistd.h>

#include <cstdio>

#include "base/log.hpp"
#include "guest_init/boot.hpp"
#include "guest_init/server.hpp"
#include "sys/early_boot.hpp"

int main() {
  if (::getpid() != 1) {
    std::fputs("berth-init: runs as the first process of a virtual machine alone\n", stderr);
    return 125;
  }
  berth::log::configure("berth-init", berth::log::Level::Info);
  auto served = berth::guest_init::boot();
  if (served) served = berth::guest_init::serve();
  if (!served) berth::log::error("{}", served.error().message);
  const auto off = berth::sys::power_off();
  if (!off) berth::log::error("{}", off.error().message);
  return 125;  // the kernel panics now, which ends the machine as well
}
