// What a registry's refusals mean.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "image/registry/http.hpp"

namespace berth::image::registry {

// "attempt: HTTP status 404: MANIFEST_UNKNOWN: manifest unknown", with the registry's own codes and messages
// (distribution-spec, "Error Codes"), bounded and without control characters. Unavailable says that a later
// attempt may do better.
Error status_error(const Response& response, std::string_view attempt);

// 408, 429 and the 5xx that pass.
bool is_passing_status(int status);

// The Retry-After field: seconds, or an HTTP date (RFC 9110, section 10.2.3).
std::optional<std::chrono::milliseconds> retry_after(const Response& response);

}  // namespace berth::image::registry
