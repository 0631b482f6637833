#include "isolate/mount_request.hpp"

#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"
#include "isolate/host_mount.hpp"
#include "isolate/mount_steps.hpp"
#include "sys/security_label.hpp"

namespace berth::isolate {
namespace {

constexpr std::size_t kMaxValue = 255;  // fsconfig(2)

Result<sys::Fd> shifted_users(const MountRequest& request) {
  if (request.options.shift == IdShift::None) return sys::Fd();
  if (request.users.empty() || request.groups.empty()) {
    return fail(
        Code::InvalidArgument,
        fmt::format("{}: idmap without uidMappings and gidMappings of the mount or of a user namespace",
                    request.field));
  }
  return TRY_DURING(request.field, sys::make_id_mapping(request.users, request.groups));
}

// A copy of a shared mount is its peer. It stays one only where that was asked for.
std::vector<MountChange> propagation_of(const MountRequest& request) {
  const auto& words = request.options.propagation;
  const bool shared =
      std::any_of(words.begin(), words.end(), [](const auto& word) { return word.kind == MS_SHARED; });
  std::vector<MountChange> changes;
  const std::uint64_t apart = words.empty() ? MS_PRIVATE : MS_SLAVE;
  if (!shared) changes.push_back({true, {}, apart});
  for (const PropagationChange& word : words) changes.push_back({word.recursive, {}, word.kind});
  return changes;
}

// In this order; the attributes of the mount itself win over those of the tree.
std::vector<MountChange> changes_of(const MountRequest& request) {
  std::vector<MountChange> changes = propagation_of(request);
  if (const auto& mount = request.options.mount; !mount.empty())
    changes.insert(changes.begin(), {false, mount, 0});
  if (const auto& tree = request.options.tree; !tree.empty())
    changes.insert(changes.begin(), {true, tree, 0});
  return changes;
}

Result<void> add_bind(LaunchPlan& plan, const MountRequest& request) {
  const int follow = request.options.source_nofollow ? O_NOFOLLOW : 0;
  const sys::Fd source = TRY_DURING(request.field, sys::open(request.source, O_PATH | follow));
  struct stat info {};
  if (::fstat(source.get(), &info) != 0)
    return fail_errno(fmt::format("{}: {}", request.field, request.source));
  HostMount wanted{.path = request.source,
                   .recursive = request.options.recursive_bind,
                   .nofollow = request.options.source_nofollow,
                   .shift = request.options.shift,
                   .users = TRY(shifted_users(request)),
                   .changes = changes_of(request)};
  const auto kind = S_ISDIR(info.st_mode) ? sys::TargetKind::Directory : sys::TargetKind::File;
  attach_copy(plan, TRY(copy_host_mount(plan, std::move(wanted), request.field)), request.destination, kind);
  return {};
}

int remount(const MountRequest& request, const std::vector<sys::FsOption>& options) noexcept {
  const sys::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno;
  int fd = -1;
  const int found = sys::open_target_in(root.get(), request.destination.c_str(), {.make = false}, &fd);
  if (found != 0) return found;
  const sys::Fd target(fd);
  if (!options.empty()) {
    if (const int error = sys::reconfigure_mount(fd, options); error != 0) return error;
  }
  const MountOptions& wanted = request.options;
  if (!wanted.tree.empty()) {
    if (const int error = sys::change_mount(fd, true, wanted.tree.set, wanted.tree.clear, 0); error != 0)
      return error;
  }
  if (!wanted.mount.empty()) {
    if (const int error = sys::change_mount(fd, false, wanted.mount.set, wanted.mount.clear, 0); error != 0)
      return error;
  }
  for (const PropagationChange& word : wanted.propagation) {
    if (const int error = sys::change_mount(fd, word.recursive, 0, 0, word.kind); error != 0) return error;
  }
  return 0;
}

void add_remount(LaunchPlan& plan, MountRequest request) {
  std::string what = fmt::format("{}: change the mount on {}", request.field, request.destination);
  auto owned = std::make_unique<MountRequest>(std::move(request));
  std::vector<sys::FsOption> options;
  const auto add = [&options](const auto& pairs) {
    for (const auto& [key, value] : pairs)
      options.push_back({key.c_str(), value.empty() ? nullptr : value.c_str(), -1});
  };
  if (!owned->options.bind) {  // mount(8): with bind only the mount changes, not the file system
    add(owned->options.superblock);
    add(owned->options.data);
  }
  plan.then(std::move(what), [request = std::move(owned), options = std::move(options)]() noexcept {
    return remount(*request, options);
  });
}

// Overlay's lower directories may be longer together than one option can be: one option each (Linux 6.7).
void add_lower_directories(const std::string& all,
                           std::vector<std::pair<std::string, std::string>>& options) {
  std::string one;
  for (std::size_t i = 0; i <= all.size(); ++i) {
    if (i == all.size() || all[i] == ':') {
      if (!one.empty()) options.emplace_back("lowerdir+", std::exchange(one, ""));
    } else {
      if (all[i] == '\\' && i + 1 < all.size()) ++i;
      one += all[i];
    }
  }
}

// These have labels of the policy's own.
bool takes_label(const std::string& type) { return type != "proc" && type != "sysfs" && type != "mqueue"; }

std::vector<std::pair<std::string, std::string>> file_system_options(const MountRequest& request) {
  auto options = request.options.superblock;
  if (!request.label.empty() && takes_label(request.type)) options.emplace_back("context", request.label);
  if (!request.source.empty()) options.emplace_back("source", request.source);
  for (const auto& [key, value] : request.options.data) {
    if (key == "lowerdir" && value.size() > kMaxValue)
      add_lower_directories(value, options);
    else
      options.emplace_back(key, value);
  }
  return options;
}

// What names the host's files is made here: in its own root directory the child would not find them.
Result<void> add_of_host_files(LaunchPlan& plan, const MountRequest& request) {
  const auto words = file_system_options(request);
  std::vector<sys::FsOption> options;
  for (const auto& [key, value] : words)
    options.push_back({key.c_str(), value.empty() ? nullptr : value.c_str(), -1});
  // A disk may be read-only as such, and then cannot be mounted otherwise.
  const bool disk = request.source.starts_with("/");
  if (disk && (request.options.mount.set & attr::kReadOnly) != 0) options.push_back({"ro", nullptr, -1});
  sys::Fd mount =
      TRY_DURING(request.field, sys::make_mount(request.type, options, request.options.mount.set));
  std::vector<MountChange> changes = propagation_of(request);
  if (!request.options.tree.empty()) changes.insert(changes.begin(), {true, request.options.tree, 0});
  for (const auto& [recursive, attributes, propagation] : changes) {
    const int error =
        sys::change_mount(mount.get(), recursive, attributes.set, attributes.clear, propagation);
    if (error != 0)
      return fail_errno(fmt::format("{}: cannot give {} its mount options", request.field, request.source),
                        error);
  }
  mount_prepared(plan, std::move(mount), request.destination, sys::TargetKind::Directory);
  return {};
}

Result<void> add_new(LaunchPlan& plan, const MountRequest& request) {
  const MountOptions& wanted = request.options;
  if (wanted.shift != IdShift::None)
    return fail(Code::InvalidArgument, fmt::format("{}: idmap is for bind mounts", request.field));
  if (wanted.copy_up && request.type != "tmpfs")
    return fail(Code::InvalidArgument, fmt::format("{}: tmpcopyup is for tmpfs", request.field));
  if (!request.label.empty())
    TRY(sys::require_security_module(sys::SecurityModule::SeLinux, "linux.mountLabel"));
  if (request.type == "overlay" || request.source.starts_with("/")) return add_of_host_files(plan, request);
  NewFilesystem fs{request.type, request.destination, file_system_options(request), wanted.mount.set};
  fs.no_symlinks = request.type == "proc" || request.type == "sysfs";
  fs.copy_up = wanted.copy_up;
  fs.tree = wanted.tree;
  fs.propagation = wanted.propagation;
  mount_new(plan, std::move(fs));
  return {};
}

}  // namespace

Result<void> add_mount(LaunchPlan& plan, MountRequest request) {
  if (!request.destination.starts_with("/")) {
    return fail(Code::InvalidArgument, fmt::format("{}.destination: \"{}\" is not an absolute path",
                                                   request.field, request.destination));
  }
  if (request.options.remount) {
    add_remount(plan, std::move(request));
    return {};
  }
  if (request.options.bind || request.type == "bind") return add_bind(plan, request);
  if (request.type.empty())
    return fail(Code::InvalidArgument,
                fmt::format("{}.type: missing, and the options have no bind", request.field));
  return add_new(plan, request);
}

}  // namespace berth::isolate
