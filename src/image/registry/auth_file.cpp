#include "image/registry/auth_file.hpp"

#include <fmt/core.h>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "image/registry/printable.hpp"

namespace berth::image::registry {
namespace {

bool has_control(std::string_view text) {
  for (const char c : text) {
    if (is_control(c)) return true;
  }
  return false;
}

Result<Credentials> read_entry(const JsonView& entry) {
  Credentials credentials;
  const std::string packed = TRY(entry.string_or("auth", ""));
  if (!packed.empty()) {
    const auto plain = base64_decode(packed);
    if (!plain) return JsonView(entry.raw(), entry.path() + ".auth").bad("not base64");
    auto parsed = Credentials::parse(*plain);
    if (!parsed) return JsonView(entry.raw(), entry.path() + ".auth").bad("does not hold user:password");
    credentials = *std::move(parsed);
  } else {
    credentials.username = TRY(entry.string_or("username", ""));
    credentials.password = TRY(entry.string_or("password", ""));
  }
  credentials.identity_token = TRY(entry.string_or("identitytoken", ""));
  credentials.registry_token = TRY(entry.string_or("registrytoken", ""));
  for (const auto* secret : {&credentials.username, &credentials.password, &credentials.identity_token,
                             &credentials.registry_token}) {
    if (has_control(*secret)) return entry.bad("a control character in a user name, password or token");
  }
  return credentials;
}

bool is_helper_name(std::string_view name) {
  return !name.empty() && name.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789-_.") == std::string_view::npos;
}

Result<std::string> read_helper(const JsonView& value) {
  std::string name = TRY(value.as_string());
  if (!name.empty() && !is_helper_name(name)) return value.bad("not the name of a credential helper");
  return name;
}

bool is_empty(const Credentials& credentials) {
  return credentials.username.empty() && credentials.password.empty() && credentials.identity_token.empty() &&
         credentials.registry_token.empty();
}

}  // namespace

Result<Credentials> Credentials::parse(std::string_view text) {
  // Some tools pad the decoded text with NUL bytes.
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return fail(Code::InvalidArgument, "credentials: expected USER:PASSWORD");
  }
  if (has_control(text)) return fail(Code::InvalidArgument, "credentials: a control character in them");
  Credentials credentials;
  credentials.username = text.substr(0, colon);
  credentials.password = text.substr(colon + 1);
  return credentials;
}

std::string registry_key(std::string_view written) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (written.starts_with(scheme)) written.remove_prefix(scheme.size());
  }
  while (written.ends_with('/')) written.remove_suffix(1);
  for (const std::string_view version : {"/v1", "/v2"}) {  // only Docker writes these
    if (written.ends_with(version)) written.remove_suffix(version.size());
  }
  const auto slash = written.find('/');
  std::string host = lower(written.substr(0, slash));
  if (host == "index.docker.io" || host == "registry-1.docker.io") host = "docker.io";
  return slash == std::string_view::npos ? host : host + std::string(written.substr(slash));
}

Result<AuthFile> AuthFile::parse(std::string_view json, std::string_view name) {
  const Json parsed = TRY(parse_json(json, name));
  const JsonView document(parsed, std::string(name));
  AuthFile file;
  if (const auto auths = TRY(document.find("auths"))) {
    for (const auto& [key, entry] : TRY(auths->as_object())) {
      Credentials credentials = TRY(read_entry(entry));
      // Docker leaves empty entries for what a helper holds.
      if (!is_empty(credentials)) file.auths.emplace(registry_key(key), std::move(credentials));
    }
  }
  if (const auto helpers = TRY(document.find("credHelpers"))) {
    for (const auto& [key, value] : TRY(helpers->as_object())) {
      file.helpers.emplace(registry_key(key), TRY(read_helper(value)));
    }
  }
  if (const auto store = TRY(document.find("credsStore"))) file.store = TRY(read_helper(*store));
  return file;
}

const Credentials* AuthFile::find(std::string_view registry, std::string_view repository) const {
  std::string key = registry_key(registry);
  const std::size_t host_length = key.size();
  if (!repository.empty()) key += "/" + std::string(repository);
  while (true) {
    if (const auto found = auths.find(key); found != auths.end()) return &found->second;
    if (key.size() <= host_length) return nullptr;
    key.resize(key.rfind('/'));
  }
}

std::string AuthFile::helper_for(std::string_view registry) const {
  const auto found = helpers.find(registry_key(registry));
  return found == helpers.end() ? store : found->second;
}

}  // namespace berth::image::registry
