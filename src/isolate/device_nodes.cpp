#include "isolate/device_nodes.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>

#include "isolate/host_mount.hpp"

namespace berth::isolate {
namespace {

// In /dev.
struct Link {
  const char* target;
  const char* name;
};
constexpr std::array<Link, 6> kLinks = {{{"/proc/self/fd", "fd"},
                                         {"/proc/self/fd/0", "stdin"},
                                         {"/proc/self/fd/1", "stdout"},
                                         {"/proc/self/fd/2", "stderr"},
                                         {"pts/ptmx", "ptmx"},
                                         {"/proc/kcore", "core"}}};

mode_t type_bits(char type) { return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR; }

struct NodeToMake {
  std::string directory;
  std::string name;
  mode_t mode;
  dev_t device;
  uid_t uid;
  gid_t gid;
};

int is_same(int directory, const NodeToMake& node) noexcept {
  struct stat info {};
  if (::fstatat(directory, node.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  const bool same = (info.st_mode & S_IFMT) == (node.mode & S_IFMT) && info.st_rdev == node.device;
  return same ? 0 : EEXIST;
}

int make_node(const NodeToMake& node) noexcept {
  int fd = -1;
  if (const int error = sys::open_target(node.directory.c_str(), sys::TargetKind::Directory, false, &fd);
      error != 0)
    return error;
  const sys::Fd directory(fd);
  const mode_t old = ::umask(0);
  const int made = ::mknodat(fd, node.name.c_str(), node.mode, node.device);
  const int error = made == 0 ? 0 : errno;
  ::umask(old);
  if (error != 0) return error == EEXIST ? is_same(fd, node) : error;
  return ::fchownat(fd, node.name.c_str(), node.uid, node.gid, AT_SYMLINK_NOFOLLOW) != 0 ? errno : 0;
}

int make_links() noexcept {
  int fd = -1;
  if (const int error = sys::open_target("/dev", sys::TargetKind::Directory, false, &fd); error != 0)
    return error;
  const sys::Fd dev(fd);
  for (const Link& link : kLinks) {
    if (::symlinkat(link.target, fd, link.name) == 0) continue;
    if (errno != EEXIST) return errno;
    struct stat info {};
    if (::fstatat(fd, link.name, &info, AT_SYMLINK_NOFOLLOW) != 0) return errno;
    if (S_ISLNK(info.st_mode)) continue;
    if (::unlinkat(fd, link.name, 0) != 0 || ::symlinkat(link.target, fd, link.name) != 0) return errno;
  }
  return 0;
}

}  // namespace

const std::vector<DeviceNode>& default_device_nodes() {
  static const std::vector<DeviceNode> nodes = {{"/dev/null", 'c', 1, 3},    {"/dev/zero", 'c', 1, 5},
                                                {"/dev/full", 'c', 1, 7},    {"/dev/random", 'c', 1, 8},
                                                {"/dev/urandom", 'c', 1, 9}, {"/dev/tty", 'c', 5, 0}};
  return nodes;
}

Result<void> add_device_node(LaunchPlan& plan, const DeviceNode& node, bool may_mknod) {
  if (!may_mknod && node.type != 'p') {
    HostMount wanted{.path = node.path, .changes = {{false, {}, MS_PRIVATE}}};
    attach_copy(plan, TRY(copy_host_mount(plan, std::move(wanted), "device")), node.path,
                sys::TargetKind::File);
    return {};
  }
  const auto slash = node.path.rfind('/');
  const std::string name = node.path.substr(slash + 1);
  if (name.empty() || name == "." || name == "..")
    return fail(Code::InvalidArgument, fmt::format("device {}: not a file's path", node.path));
  NodeToMake wanted{slash == 0 ? "/" : node.path.substr(0, slash),
                    name,
                    type_bits(node.type) | node.mode,
                    ::makedev(node.major, node.minor),
                    node.uid,
                    node.gid};
  plan.then(fmt::format("make the device {}", node.path),
            [wanted = std::move(wanted)]() noexcept { return make_node(wanted); });
  return {};
}

void add_device_links(LaunchPlan& plan) { plan.then("make the links of /dev", make_links); }

}  // namespace berth::isolate
