// Docker's config.json and Podman's auth.json (containers-auth.json(5)): one format, two homes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::image::registry {

struct Credentials {
  std::string username;
  std::string password;
  std::string identity_token;  // an OAuth2 refresh token instead of a password
  std::string registry_token;  // a bearer token to be sent as it is
  // "user:password".
  static Result<Credentials> parse(std::string_view text);
};

// The name a registry goes by in these files: without scheme and path; Docker's Hub is "docker.io" under all
// its names.
std::string registry_key(std::string_view written);

struct AuthFile {
  std::map<std::string, Credentials> auths;    // by registry_key, or registry_key/namespace...
  std::map<std::string, std::string> helpers;  // by registry_key: the X of docker-credential-X
  std::string store;                           // the helper for every registry; "" for none

  // `name` says in errors which file it is.
  static Result<AuthFile> parse(std::string_view json, std::string_view name);
  // The most specific entry: host/a/b, host/a, host. Null where there is none.
  const Credentials* find(std::string_view registry, std::string_view repository) const;
  // The helper to ask about a registry; "" for none.
  std::string helper_for(std::string_view registry) const;
};

// The files that may hold credentials, in the order they are asked: `chosen` or $REGISTRY_AUTH_FILE alone
// where given, else Podman's at run time, Podman's own, Docker's.
std::vector<std::string> auth_files_to_read(const std::string& chosen);
// The file that login and logout change.
Result<std::string> auth_file_to_write(const std::string& chosen);

// Credentials for a repository ("" when only the registry counts) from the auth files and credential helpers;
// none where nobody has any. A file that is absent is passed over, one that cannot be read or understood is
// an error.
Result<std::optional<Credentials>> find_credentials(const std::string& registry,
                                                    const std::string& repository,
                                                    const std::string& chosen_file);

// Adds or replaces an entry, keeping whatever else the file holds; mode 0600, replaced in one step.
Result<void> store_credentials(const std::string& path, const std::string& registry,
                               const Credentials& credentials);
// False where there was no entry.
Result<bool> erase_credentials(const std::string& path, const std::string& registry);
// All entries.
Result<void> erase_all_credentials(const std::string& path);

}  // namespace berth::image::registry
