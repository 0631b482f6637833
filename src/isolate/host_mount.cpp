#include "isolate/host_mount.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <cerrno>

#include "isolate/mount_steps.hpp"
#include "sys/mount.hpp"

namespace berth::isolate {
namespace {

struct Outcome {
  int error = 0;
  const char* failed = "";  // completes "cannot ... PATH"
};

int open_source(const HostMount& wanted, sys::Fd* source) noexcept {
  const int follow = wanted.nofollow ? O_NOFOLLOW : 0;
  *source = sys::Fd(::open(wanted.plain ? "/" : wanted.path.c_str(), O_PATH | O_CLOEXEC | follow));
  if (!*source) return errno;
  if (!wanted.plain) return 0;
  int fd = -1;
  const sys::TargetOptions options{.no_symlinks = true, .make = false};
  const int error = sys::open_target_in(source->get(), wanted.path.c_str(), options, &fd);
  *source = sys::Fd(fd);
  return error;
}

// Allocates nothing.
Outcome make(const HostMount& wanted, sys::Fd* copy) noexcept {
  sys::Fd source;
  if (const int error = open_source(wanted, &source); error != 0) return {error, "open"};
  int fd = -1;
  if (const int error = sys::clone_mount(source.get(), "", wanted.recursive, &fd); error != 0)
    return {error, "copy the mount of"};
  *copy = sys::Fd(fd);
  if (wanted.shift != IdShift::None) {
    const int error = sys::idmap_mount(fd, wanted.users.get(), wanted.shift == IdShift::Tree);
    if (error != 0) return {error, "shift the users of"};
  }
  for (const MountChange& change : wanted.changes) {
    const auto& [recursive, attributes, propagation] = change;
    const int error = sys::change_mount(fd, recursive, attributes.set, attributes.clear, propagation);
    if (error != 0) return {error, "change the mount of"};
  }
  return {};
}

}  // namespace

Result<MountSlot> copy_host_mount(LaunchPlan& plan, HostMount wanted, const std::string& field) {
  auto slot = std::make_shared<sys::Fd>();
  const Outcome now = make(wanted, slot.get());
  if (now.error == 0) return slot;
  if (now.error != EPERM) {
    auto failure = fail_errno(fmt::format("{}: cannot {} {}", field, now.failed, wanted.path), now.error);
    if (wanted.shift != IdShift::None) failure.value().code = Code::FailedPrecondition;
    return failure;
  }
  slot->reset();
  std::string what = fmt::format("{}: copy the mount of {}", field, wanted.path);
  plan.first(std::move(what), [wanted = std::make_shared<HostMount>(std::move(wanted)), slot]() noexcept {
    return make(*wanted, slot.get()).error;
  });
  return slot;
}

void attach_copy(LaunchPlan& plan, MountSlot copy, const std::string& target, sys::TargetKind kind) {
  plan.then(fmt::format("mount on {}", target), [copy = std::move(copy), target, kind]() noexcept {
    return attach_safely(copy->get(), target.c_str(), kind);
  });
}

}  // namespace berth::isolate
