// Asking a registry whether it knows us.
#pragma once

#include <string>

#include "base/result.hpp"
#include "image/registry/endpoint.hpp"

namespace berth::image::registry {

// Whether the registry accepts `options.credentials` (GET /v2/, distribution-spec end-1). Unauthenticated
// where not.
Result<void> check_login(const std::string& registry, const AccessOptions& options);

}  // namespace berth::image::registry
