// Changing what a running container may use.
#pragma once

#include <string>

#include "base/result.hpp"
#include "isolate/runtime_resources.hpp"

namespace berth::oci {

// What `wanted` does not name stays. FailedPrecondition for a container that has ended or has no control
// group.
Result<void> update(const std::string& root, const std::string& id, const isolate::RuntimeResources& wanted);

}  // namespace berth::oci
