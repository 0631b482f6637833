#include "sys/early_boot.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/fd.hpp"

namespace berth::sys {

Result<void> mount_file_system(const std::string& type, const std::string& source, const std::string& target,
                               unsigned long flags, const std::string& data) {
  TRY(make_dir(target));
  if (::mount(source.c_str(), target.c_str(), type.c_str(), flags, data.c_str()) != 0)
    return fail_errno(fmt::format("cannot mount {} ({}) on {}", source, type, target));
  return {};
}

Result<void> switch_root(const std::string& directory) {
  if (::chdir(directory.c_str()) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 ||
      ::chroot(".") != 0 || ::chdir("/") != 0)
    return fail_errno(fmt::format("cannot make {} the root directory", directory));
  return {};
}

Result<void> load_module(const std::string& path) {
  const Fd file = TRY(open(path, O_RDONLY));
  if (::syscall(SYS_finit_module, file.get(), "", 0) == 0 || errno == EEXIST || errno == ENODEV) return {};
  return fail_errno(fmt::format("cannot load the module {}", path));
}

Result<void> power_off() {
  ::sync();
  if (::reboot(RB_POWER_OFF) != 0) return fail_errno("cannot switch the machine off");
  return {};
}

}  // namespace berth::sys
