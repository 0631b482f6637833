// Which of a kernel's modules a guest of berth needs.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernel/unpack/module_info.hpp"

namespace berth::kernel {

// All modules of a kernel by name, and the names of those that are part of the kernel itself.
struct ModuleCatalogue {
  std::map<std::string, ModuleInfo> modules;
  std::set<std::string> built_in;
};

// In an order in which each can be loaded. NotFound names a module that the kernel has in neither form.
Result<std::vector<std::string>> guest_modules(const ModuleCatalogue& catalogue);

// The archive that is appended to a guest's initramfs: /modules/NN-name.ko, loaded in the order of names.
// `content` gives a module's file; signatures are left out, as their check would cost a guest that trusts its
// own initramfs a good part of its start.
std::string pack_modules(const std::vector<std::string>& order,
                         const std::function<std::string_view(const std::string&)>& content);

}  // namespace berth::kernel
