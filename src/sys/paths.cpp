#include "sys/paths.hpp"

#include <fmt/core.h>
#include <limits.h>
#include <stdlib.h>

#include <cstdint>

#include "sys/fd.hpp"
#include "sys/user_map.hpp"

namespace berth::sys {
namespace {

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> home() {
  std::string path = environment("HOME");
  if (path.starts_with('/')) return path;
  return fail(Code::FailedPrecondition,
              "cannot tell where to keep images: $HOME is not set; set it or use --root");
}

Result<Paths> default_paths() {
  const std::uint64_t uid = outer_uid();
  if (uid == 0) return Paths{"/var/lib/berth", "/run/berth"};
  std::string data =
      environment("XDG_DATA_HOME");  // the XDG specification: relative values are to be ignored
  if (!data.starts_with('/')) data = TRY(home()) + "/.local/share";
  const std::string root = data + "/berth";
  std::string run = environment("XDG_RUNTIME_DIR");
  if (!run.starts_with('/')) run = fmt::format("/run/user/{}", uid);
  return Paths{root, exists(run) ? run + "/berth" : root + "/run"};
}

// FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/): a stable short name, nothing that must be unforgeable.
std::uint64_t fnv1a(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// As realpath(3), but the last parts may not exist yet.
Result<std::string> absolute(const std::string& path) {
  char buffer[PATH_MAX];
  if (::realpath(path.c_str(), static_cast<char*>(buffer)) != nullptr)
    return std::string(static_cast<char*>(buffer));
  const int number = errno;
  const auto end = path.find_last_not_of('/');
  const auto slash = end == std::string::npos ? end : path.rfind('/', end);
  if (number != ENOENT || slash == 0) {
    if (number == ENOENT) return path;
    return fail_errno(fmt::format("--root {}: cannot be used", path), number);
  }
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1, end - slash);
  if (name == "." || name == "..") return fail_errno(fmt::format("--root {}: cannot be used", path), number);
  return TRY(absolute(slash == std::string::npos ? "." : path.substr(0, slash))) + "/" + name;
}

}  // namespace

bool is_ordinary_user() { return outer_uid() != 0; }

Result<Paths> find_paths(const std::string& root_option) {
  Paths paths = TRY(default_paths());
  if (root_option.empty()) return paths;
  const std::string root = TRY(absolute(root_option));
  if (root == paths.root) return paths;
  paths.root = root;
  paths.run += fmt::format("/{:012x}", fnv1a(root) >> 16);
  return paths;
}

}  // namespace berth::sys
