// What a kernel module says of itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::kernel {

// From the section .modinfo. Names have '_' for '-', as the kernel treats the two alike.
struct ModuleInfo {
  std::string name;
  std::vector<std::string> needs;    // must be loaded before
  std::vector<std::string> prefers;  // names or aliases, wanted before ("softdep=pre: ...")
  std::vector<std::string> aliases;
};

// InvalidArgument where `module` is no 64-bit ELF file with that section. At most 4096 entries are read.
Result<ModuleInfo> read_module_info(std::string_view module);

// The module without the signature that may be appended (Documentation/admin-guide/module-signing.rst).
std::string_view without_signature(std::string_view module);

std::string plain_module_name(std::string_view name);

}  // namespace berth::kernel
