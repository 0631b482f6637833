// Where auth files live, and what they and the credential helpers together know about a registry.
#include <fmt/core.h>

#include <cstdlib>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "image/registry/auth_file.hpp"
#include "image/registry/credential_helper.hpp"
#include "sys/fd.hpp"
#include "sys/paths.hpp"

namespace berth::image::registry {
namespace {

constexpr std::size_t kMaxAuthFileBytes = 1 << 20;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// $XDG_RUNTIME_DIR/containers/auth.json; root has no such directory outside a login session, Podman's is then
// this.
std::string runtime_auth_file() {
  const std::string runtime = environment("XDG_RUNTIME_DIR");
  if (!runtime.empty()) return runtime + "/containers/auth.json";
  return sys::is_ordinary_user() ? "" : "/run/containers/0/auth.json";
}

std::string config_auth_file() {
  const std::string config = environment("XDG_CONFIG_HOME");
  if (!config.empty()) return config + "/containers/auth.json";
  const std::string home = environment("HOME");
  return home.empty() ? "" : home + "/.config/containers/auth.json";
}

std::string docker_auth_file() {
  const std::string config = environment("DOCKER_CONFIG");
  if (!config.empty()) return config + "/config.json";
  const std::string home = environment("HOME");
  return home.empty() ? "" : home + "/.docker/config.json";
}

Result<Json> read_document(const std::string& path) {
  if (!sys::exists(path)) return Json::object();
  const std::string text = TRY(sys::read_file(path, kMaxAuthFileBytes));
  if (trim(text).empty()) return Json::object();
  Json document = TRY(parse_json(text, path));
  if (!document.is_object()) return JsonView(document, path).bad("expected an object");
  return document;
}

Result<void> write_document(const std::string& path, const Json& document) {
  const auto slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) TRY(sys::make_dir(path.substr(0, slash), 0700));
  const std::string text = document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return sys::replace_file(path, text, 0600, sys::Keeping::Durable);
}

// The helper that this file names for the registry; "" for none.
Result<std::string> helper_in(const Json& document, const std::string& path, const std::string& registry) {
  return TRY(AuthFile::parse(document.dump(-1, ' ', false, Json::error_handler_t::replace), path))
      .helper_for(registry);
}

}  // namespace

std::vector<std::string> auth_files_to_read(const std::string& chosen) {
  if (!chosen.empty()) return {chosen};
  if (const std::string file = environment("REGISTRY_AUTH_FILE"); !file.empty()) return {file};
  std::vector<std::string> files;
  for (const std::string& path : {runtime_auth_file(), config_auth_file(), docker_auth_file()}) {
    if (!path.empty()) files.push_back(path);
  }
  return files;
}

Result<std::string> auth_file_to_write(const std::string& chosen) {
  if (!chosen.empty()) return chosen;
  for (const std::string& path :
       {environment("REGISTRY_AUTH_FILE"), runtime_auth_file(), config_auth_file()}) {
    if (!path.empty()) return path;
  }
  return fail(Code::FailedPrecondition,
              "no place for credentials: neither XDG_RUNTIME_DIR nor HOME is set; give --authfile");
}

Result<std::optional<Credentials>> find_credentials(const std::string& registry,
                                                    const std::string& repository,
                                                    const std::string& chosen_file) {
  for (const std::string& path : auth_files_to_read(chosen_file)) {
    if (!sys::exists(path)) {
      if (path == chosen_file) {
        return fail(Code::NotFound, fmt::format("--authfile: {} does not exist", path));
      }
      continue;
    }
    const std::string text = TRY(sys::read_file(path, kMaxAuthFileBytes));
    if (trim(text).empty()) continue;
    const AuthFile file = TRY(AuthFile::parse(text, path));
    if (const std::string helper = file.helper_for(registry); !helper.empty()) {
      auto held = TRY(ask_credential_helper(helper, registry));
      if (held) return held;
    }
    if (const Credentials* found = file.find(registry, repository)) return std::optional(*found);
  }
  return std::optional<Credentials>{};
}

Result<void> store_credentials(const std::string& path, const std::string& registry,
                               const Credentials& credentials) {
  Json document = TRY(read_document(path));
  if (const std::string helper = TRY(helper_in(document, path, registry)); !helper.empty()) {
    return store_in_helper(helper, registry, credentials);
  }
  if (!document["auths"].is_object()) document["auths"] = Json::object();
  document["auths"][registry_key(registry)] = {
      {"auth", base64_encode(credentials.username + ":" + credentials.password)}};
  return write_document(path, document);
}

Result<bool> erase_credentials(const std::string& path, const std::string& registry) {
  Json document = TRY(read_document(path));
  if (const std::string helper = TRY(helper_in(document, path, registry)); !helper.empty()) {
    TRY(erase_in_helper(helper, registry));
    return true;
  }
  const auto auths = document.find("auths");
  if (auths == document.end() || !auths->is_object()) return false;
  const std::string wanted = registry_key(registry);
  std::vector<std::string> doomed;  // Docker's spelling of the same registry goes too
  for (const auto& [key, value] : auths->items()) {
    if (registry_key(key) == wanted) doomed.push_back(key);
  }
  for (const std::string& key : doomed) auths->erase(key);
  if (!doomed.empty()) TRY(write_document(path, document));
  return !doomed.empty();
}

Result<void> erase_all_credentials(const std::string& path) {
  Json document = TRY(read_document(path));
  document["auths"] = Json::object();
  return write_document(path, document);
}

}  // namespace berth::image::registry
