// What a machine's process may still do once it deals with its guest.
#pragma once

#include "base/result.hpp"

namespace berth::vmm {

// Before any thread: files, network, names and users are out of reach (sys::enter_jail); /dev/kvm stays.
Result<void> enter_jail();
// After all is made and before the guest runs, for all threads: only the system calls that running a machine
// takes; any other fails with EPERM.
Result<void> filter_system_calls();

}  // namespace berth::vmm
