#include "sys/security_label.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.hpp"
#include "sys/fd.hpp"
#include "sys/procfs.hpp"

namespace berth::sys {
namespace {

bool is_enabled(SecurityModule module) {
  if (module == SecurityModule::SeLinux) return exists("/sys/fs/selinux/enforce");
  const auto enabled = read_file("/sys/module/apparmor/parameters/enabled");
  return enabled && trim(*enabled) == "Y";
}

int write_label(const char* path, const char* label, std::size_t length) noexcept {
  int fd = -1;
  if (const int error = open_proc_file(path, O_WRONLY, &fd); error != 0) return error;
  const Fd file(fd);
  return ::write(fd, label, length) < 0 ? errno : 0;
}

}  // namespace

Result<void> require_security_module(SecurityModule module, std::string_view field) {
  if (is_enabled(module)) return {};
  const char* name = module == SecurityModule::AppArmor ? "AppArmor" : "SELinux";
  return fail(Code::FailedPrecondition,
              fmt::format("{}: this kernel does not have {} enabled: leave it out", field, name));
}

int set_exec_label(SecurityModule module, const char* label, std::size_t length) noexcept {
  if (module == SecurityModule::SeLinux) return write_label("thread-self/attr/exec", label, length);
  // Its own directory came with Linux 4.17, when modules learned to stack.
  const int error = write_label("thread-self/attr/apparmor/exec", label, length);
  return error == ENOENT ? write_label("thread-self/attr/exec", label, length) : error;
}

}  // namespace berth::sys
