// Running hooks on the runtime's side.
#pragma once

#include <string>

#include "base/result.hpp"
#include "oci/spec/spec.hpp"

namespace berth::oci {

// In their order, each with `state` (JSON) on its standard input; the first that fails ends it, and names
// itself.
Result<void> run_hooks(const Spec& spec, HookStage stage, const std::string& state);

// The same where the specification wants failures logged and the rest run all the same (poststart, poststop).
void run_hooks_anyway(const Spec& spec, HookStage stage, const std::string& state);

}  // namespace berth::oci
