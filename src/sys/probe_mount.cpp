// The probes that mount something.
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>

#include "sys/fd.hpp"
#include "sys/idmap.hpp"
#include "sys/mount.hpp"
#include "sys/probe.hpp"

namespace berth::sys {
namespace {

// A directory below `parent` for the length of one probe.
class Scratch {
 public:
  static Result<Scratch> make(const std::string& parent) {
    std::string path = parent + "/probe-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return fail_errno(fmt::format("cannot make {}", path));
    return Scratch(std::move(path));
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    if (!path_.empty()) static_cast<void>(remove_tree(path_));
  }
  const std::string& path() const { return path_; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Result<void> own_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno("cannot make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return fail_errno("cannot make mounts private");
  }
  return {};
}

Result<void> become_able_to_mount() {
  if (::geteuid() != 0) TRY(become_root_of_user_namespace());
  return own_mounts();
}

// Deleting a file of the lower directory makes a whiteout: the part that kernels have refused in user
// namespaces.
Result<void> use_overlay(const std::string& scratch, bool user_namespace) {
  for (const char* name : {"lower", "upper", "work", "merged"}) {
    TRY(make_dir(fmt::format("{}/{}", scratch, name)));
  }
  TRY(replace_file(scratch + "/lower/file", "text"));
  TRY(own_mounts());
  const std::string options = fmt::format("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work{1}",
                                          scratch, user_namespace ? ",userxattr" : "");
  const std::string merged = scratch + "/merged";
  if (::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()) != 0) {
    return fail_errno("cannot mount an overlay");
  }
  const std::string file = merged + "/file";
  if (::unlink(file.c_str()) != 0) return fail_errno("an overlay was mounted, but deletes no file");
  if (exists(file))
    return fail(Code::FailedPrecondition, "an overlay was mounted, but a deleted file came back");
  return {};
}

}  // namespace

Result<void> probe_overlay(const std::string& directory, bool user_namespace) {
  const Scratch scratch = TRY(Scratch::make(directory));
  return try_in_child([&]() -> Result<void> {
    if (user_namespace) TRY(become_root_of_user_namespace());
    return use_overlay(scratch.path(), user_namespace);
  });
}

Result<void> probe_mount_api() {
  return try_in_child([]() -> Result<void> {
    TRY(become_able_to_mount());
    const Fd made = TRY(make_mount("tmpfs", {}, 0));
    const Fd target = TRY(open("/tmp", O_PATH | O_DIRECTORY));
    if (const int error = attach_mount(made.get(), target.get()); error != 0) {
      return fail_errno("cannot attach a detached mount", error);
    }
    return {};
  });
}

Result<void> probe_idmapped_mount(const std::string& directory) {
  return try_in_child([&]() -> Result<void> {
    const Fd mapping = TRY(make_id_mapping(100000, 65536));
    int mount_fd = -1;
    if (const int error = clone_mount(AT_FDCWD, directory.c_str(), false, &mount_fd); error != 0) {
      return fail_errno(fmt::format("cannot clone the mount of {}", directory), error);
    }
    const Fd clone(mount_fd);
    if (const int error = idmap_mount(clone.get(), mapping.get()); error != 0) {
      return fail_errno(fmt::format("the file system of {} cannot be idmapped", directory), error);
    }
    return {};
  });
}

}  // namespace berth::sys
