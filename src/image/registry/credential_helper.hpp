// Credential helpers: programs named docker-credential-X that keep secrets elsewhere
// (https://github.com/docker/docker-credential-helpers).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "image/registry/auth_file.hpp"

namespace berth::image::registry {

// Runs "docker-credential-<helper> get". None where the helper has nothing for the registry.
Result<std::optional<Credentials>> ask_credential_helper(const std::string& helper,
                                                         const std::string& registry);

// "docker-credential-<helper> store" and "erase".
Result<void> store_in_helper(const std::string& helper, const std::string& registry,
                             const Credentials& credentials);
Result<void> erase_in_helper(const std::string& helper, const std::string& registry);

// What a helper printed: {"ServerURL": ..., "Username": ..., "Secret": ...}. The user name "<token>" says
// that the secret is an identity token.
Result<Credentials> parse_helper_answer(std::string_view json, const std::string& helper);

}  // namespace berth::image::registry
