// What this runtime can do, for clients that choose by it.
#pragma once

#include <string>

namespace berth::oci {

// The features structure (runtime-spec, features.md and features-linux.md) as JSON text. It speaks of the
// program, not of the machine it runs on.
std::string describe_features();

}  // namespace berth::oci
