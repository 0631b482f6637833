// What the first process of a freshly booted kernel does, and nobody else: it owns the whole machine.
#pragma once

#include <string>

#include "base/result.hpp"

namespace berth::sys {

// mount(2); `data` are the file system's own options. Makes the directory `target`.
Result<void> mount_file_system(const std::string& type, const std::string& source, const std::string& target,
                               unsigned long flags, const std::string& data);
// Makes the mount at `directory` the root, in place of the initramfs, whose files are then out of reach.
Result<void> switch_root(const std::string& directory);
// finit_module(2); one that is loaded already, or whose device is not here, is fine.
Result<void> load_module(const std::string& path);
// Ends the machine; returns on failure alone.
Result<void> power_off();

}  // namespace berth::sys
