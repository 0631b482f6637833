#include "oci/state/container_dir.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "sys/entry.hpp"
#include "sys/paths.hpp"

namespace berth::oci {
namespace {

constexpr std::size_t kMaxIdLength = 1024;

// As runc has it: what clients make names of.
Result<void> check_id(const std::string& id) {
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_+-.").find(c) != std::string_view::npos;
  });
  if (plain && !id.empty() && id.size() <= kMaxIdLength && id != "." && id != "..") return {};
  return fail(
      Code::InvalidArgument,
      fmt::format("invalid container id \"{}\": use letters, digits, \"_\", \"+\", \"-\" and \".\"", id));
}

}  // namespace

std::string state_root(const std::string& root_option) {
  if (!root_option.empty()) return root_option;
  const char* runtime = ::getenv("XDG_RUNTIME_DIR");
  if (!sys::is_ordinary_user()) return "/run/berth-oci";
  if (runtime != nullptr && *runtime == '/') return fmt::format("{}/berth-oci", runtime);
  return fmt::format("/tmp/berth-oci-{}", ::getuid());
}

Result<ContainerDir> ContainerDir::create(const std::string& root, const std::string& id) {
  TRY(check_id(id));
  TRY_DURING("cannot make the directory of states (--root)", sys::make_dir(root, 0711));
  ContainerDir dir(id, fmt::format("{}/{}", root, id));
  if (::mkdir(dir.path_.c_str(), 0711) != 0) {
    if (errno == EEXIST) return fail(Code::AlreadyExists, fmt::format("container with id exists: {}", id));
    return fail_errno(fmt::format("cannot make {}", dir.path_));
  }
  TRY(dir.lock());
  return dir;
}

Result<ContainerDir> ContainerDir::open(const std::string& root, const std::string& id) {
  TRY(check_id(id));
  ContainerDir dir(id, fmt::format("{}/{}", root, id));
  if (sys::exists(dir.path_)) return dir;
  return fail(Code::NotFound, fmt::format("container does not exist: {}", id));
}

Result<std::vector<std::string>> ContainerDir::list(const std::string& root) {
  const auto dir = sys::open(root, O_RDONLY | O_DIRECTORY);
  if (!dir && dir.error().code == Code::NotFound) return std::vector<std::string>{};
  if (!dir) return fail(dir.error());
  auto names = TRY(sys::list_names(dir->get()));
  std::erase_if(names, [](const std::string& name) { return !check_id(name); });
  return names;
}

std::string ContainerDir::file(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

Result<void> ContainerDir::lock() {
  auto locked = sys::lock_directory(path_);
  if (!locked && locked.error().code == Code::NotFound)  // removed since
    return fail(Code::NotFound, fmt::format("container does not exist: {}", id_));
  lock_ = TRY(std::move(locked));
  struct stat ours {};
  struct stat present {};
  const bool same = ::fstat(lock_.get(), &ours) == 0 && ::stat(path_.c_str(), &present) == 0 &&
                    ours.st_ino == present.st_ino;
  if (same) return {};
  return fail(Code::NotFound, fmt::format("container does not exist: {}", id_));
}

bool ContainerDir::busy() const {
  if (lock_) return false;
  const auto free = sys::try_lock_directory(path_);
  return free && !*free;
}

Result<void> ContainerDir::remove() {
  TRY(sys::remove_tree(path_));
  lock_.reset();
  return {};
}

}  // namespace berth::oci
