#include "unit/vm/layer_image.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

#include "sys/command.hpp"
#include "sys/fd.hpp"

namespace berth::unit {
namespace {

constexpr const char* kMaker = "mkfs.erofs";  // see docs/decisions/0009

Result<void> make_image(const std::string& directory, const std::string& target) {
  const std::string fresh = target + ".new";
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT)
    return fail_errno(fmt::format("cannot replace {}", fresh));
  const auto made = TRY(sys::run_command({kMaker, "--quiet", "--preserve-mtime", fresh, directory},
                                         {.text = "", .timeout = std::chrono::minutes(60)}));
  if (made.exit_code != 0)
    return fail(Code::Internal, fmt::format("{} failed ({}) on {}", kMaker, made.exit_code, directory));
  const sys::Fd file = TRY(sys::open(fresh, O_RDONLY));
  if (::fsync(file.get()) != 0 || ::rename(fresh.c_str(), target.c_str()) != 0)
    return fail_errno(fmt::format("cannot store {}", target));
  return {};
}

}  // namespace

Result<std::string> layer_image(const std::string& directory) {
  const std::string place = directory.substr(0, directory.rfind('/'));
  const std::string target = place + "/root.erofs";
  if (sys::exists(target)) return target;
  const sys::Fd lock = TRY(sys::lock_file(place + "/root.lock"));
  if (!sys::exists(target)) TRY_DURING("cannot make a layer's disk", make_image(directory, target));
  return target;
}

Result<void> probe_layer_images() {
  for (const char* directory : {"/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin"})
    if (::access(fmt::format("{}/{}", directory, kMaker).c_str(), X_OK) == 0) return {};
  return fail(
      Code::FailedPrecondition,
      fmt::format("{} is not installed (Debian's package erofs-utils): it makes disks of layers", kMaker));
}

}  // namespace berth::unit
