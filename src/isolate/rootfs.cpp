// The root file system: image layers composed by overlay (or one ready directory), made the child's root.
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.hpp"
#include "isolate/isolator.hpp"
#include "isolate/mount_steps.hpp"
#include "sys/idmap.hpp"
#include "sys/mount.hpp"
#include "sys/user_map.hpp"

namespace berth::isolate {
namespace {

// The merged root directory takes its owner and mode from the upper one: start it as the image's own, with
// its users `shift` further up.
Result<void> make_upper(const std::string& upper, const std::string& top_layer, std::uint32_t shift) {
  if (sys::exists(upper)) return {};
  TRY(sys::make_dir(upper));
  const auto info = TRY(sys::stat(top_layer));
  if (::chown(upper.c_str(), info.st_uid + shift, info.st_gid + shift) != 0) {
    return fail_errno(fmt::format("cannot chown {}", upper));
  }
  if (::chmod(upper.c_str(), info.st_mode & 07777) != 0)
    return fail_errno(fmt::format("cannot chmod {}", upper));
  return {};
}

constexpr std::size_t kMaxOption = 255;  // fsconfig(2)

// Overlay's options; keeps the strings that they point to.
class OverlayOptions {
 public:
  OverlayOptions(const Instance& instance, std::string upper, std::string work)
      : layers_(instance.config.rootfs.layers), upper_(std::move(upper)), work_(std::move(work)) {
    options_.push_back({"source", "berth", -1});
    if (sys::in_user_namespace() || instance.config.rootfs.user_xattrs)
      options_.push_back({"userxattr", nullptr, -1});
    // The upper directory goes away with the instance: spares the sync of a whole disk when it is unmounted.
    if (instance.config.remove_on_exit) options_.push_back({"volatile", nullptr, -1});
  }

  Result<sys::Fd> mount() {
    for (const std::string& layer : layers_) options_.push_back({"lowerdir+", layer.c_str(), -1});
    auto made = mount_with_upper();
    if (made || made.error().sys_errno != EINVAL) return made;
    return mount_in_one_string(std::move(made));
  }

  // The layers by descriptors of detached mounts that `user_namespace` shifts (Linux 6.13). The upper
  // directory holds shifted users on disk: overlay writes there as the one who mounts, whom a shifted mount
  // would not know.
  Result<sys::Fd> mount_shifted(int user_namespace) {
    std::vector<sys::Fd> mounts;
    for (const std::string& layer : layers_) {
      mounts.push_back(TRY(clone_host_path(layer, false)));
      if (const int error = sys::idmap_mount(mounts.back().get(), user_namespace); error != 0) {
        return fail_errno(fmt::format("--userns: cannot shift the users of {}", layer), error);
      }
      options_.push_back({"lowerdir+", nullptr, mounts.back().get()});
    }
    return TRY_DURING("--userns", mount_with_upper());
  }

 private:
  Result<sys::Fd> mount_with_upper() {
    options_.push_back({"upperdir", upper_.c_str(), -1});
    options_.push_back({"workdir", work_.c_str(), -1});
    return sys::make_mount("overlay", options_, 0);
  }

  // Before Linux 6.7: all lower directories in one value, which fsconfig(2) takes up to 255 bytes of. The
  // layers are named by their descriptors, from the directory where those have the shortest names.
  Result<sys::Fd> mount_in_one_string(Result<sys::Fd> first_failure) {
    std::erase_if(options_, [](const sys::FsOption& option) {
      const std::string_view key = option.key;
      return key == "lowerdir+" || key == "upperdir" || key == "workdir";
    });
    std::vector<sys::Fd> opened;
    std::string lower;
    for (const std::string& layer : layers_) {
      opened.push_back(TRY(sys::open(layer, O_PATH | O_DIRECTORY)));
      lower += fmt::format("{}{}", lower.empty() ? "" : ":", opened.back().get());
    }
    if (lower.size() > kMaxOption) {
      return fail(Code::FailedPrecondition,
                  fmt::format("an image of {} layers needs Linux 6.7 or newer", layers_.size()));
    }
    options_.push_back({"lowerdir", lower.c_str(), -1});
    const sys::Fd before = TRY(sys::open(".", O_PATH | O_DIRECTORY));
    if (::chdir("/proc/self/fd") != 0) return fail_errno("cannot change to /proc/self/fd");
    auto made = mount_with_upper();
    if (::fchdir(before.get()) != 0) return fail_errno("cannot change back to the working directory");
    return made ? std::move(made) : std::move(first_failure);
  }

  const std::vector<std::string>& layers_;
  std::string upper_;
  std::string work_;
  std::vector<sys::FsOption> options_;
};

// A volatile overlay that was not unmounted in order refuses to be mounted again. That guards against a power
// cut, which an instance that is removed on exit does not outlive anyway.
Result<void> forget_volatile_mount(const std::string& work) {
  return sys::remove_tree(work + "/work/incompat/volatile");
}

Result<sys::Fd> compose(const Instance& instance) {
  const Rootfs& rootfs = instance.config.rootfs;
  if (rootfs.layers.empty()) {
    return TRY_DURING("cannot use the root directory", clone_host_path(rootfs.directory, true));
  }
  const std::string upper = instance.paths.state + "/upper";
  const std::string work = instance.paths.state + "/work";
  const UserMapping mapping = instance.config.userns.value_or(UserMapping{});
  TRY(make_upper(upper, rootfs.layers.front(), mapping.host_start));
  TRY(sys::make_dir(work));
  TRY(forget_volatile_mount(work));
  OverlayOptions overlay(instance, upper, work);
  if (!instance.config.userns) return TRY_DURING("cannot compose the root file system", overlay.mount());
  const sys::Fd user_namespace = TRY(sys::make_id_mapping(mapping.host_start, mapping.count));
  return TRY_DURING("cannot compose the root file system", overlay.mount_shifted(user_namespace.get()));
}

class RootFilesystem final : public Isolator {
 public:
  std::string_view name() const override { return "rootfs"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    if (instance.config.rootfs.empty()) return {};
    plan.root = TRY(compose(instance));
    plan.new_namespaces |= CLONE_NEWNS;
    plan.then("make mounts private",
              []() noexcept { return sys::change_mount_at("/", true, 0, 0, MS_PRIVATE); });
    plan.then("change the root directory",
              [root = plan.root.get()]() noexcept { return sys::pivot_into(root); });
    return {};
  }

  Result<void> prepare_exec(const ExecTarget& target, LaunchPlan& plan) const override {
    if (target.config.rootfs.empty()) return {};
    plan.root = TRY(sys::open(fmt::format("/proc/{}/root", target.pid), O_PATH | O_DIRECTORY));
    return {};
  }
};

class LeaveHost final : public Isolator {
 public:
  std::string_view name() const override { return "leave-host"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    if (!instance.config.rootfs.empty()) plan.then("leave the host's root directory", sys::drop_old_root);
    return {};
  }
};

class ReadOnlyRoot final : public Isolator {
 public:
  std::string_view name() const override { return "read-only-root"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    if (!instance.config.rootfs.read_only || instance.config.rootfs.empty()) return {};
    plan.then("make the root file system read-only",
              []() noexcept { return sys::change_mount_at("/", false, attr::kReadOnly, 0, 0); });
    return {};
  }
};

}  // namespace

const Isolator& rootfs_isolator() {
  static const RootFilesystem isolator;
  return isolator;
}

const Isolator& leave_host_isolator() {
  static const LeaveHost isolator;
  return isolator;
}

const Isolator& read_only_root_isolator() {
  static const ReadOnlyRoot isolator;
  return isolator;
}

}  // namespace berth::isolate
