// Platforms of manifest.hpp: GOOS and GOARCH values, as the image-spec has them.
#include <fmt/core.h>
#include <sys/utsname.h>

#include <array>

#include "base/text.hpp"
#include "image/model/manifest.hpp"

namespace berth::image {
namespace {

struct Machine {
  std::string_view kernel;  // as uname(2) and people spell it
  std::string_view architecture;
  std::string_view variant;
};

constexpr std::array kMachines = {
    Machine{"x86_64", "amd64", ""}, Machine{"x86-64", "amd64", ""},  Machine{"i686", "386", ""},
    Machine{"i386", "386", ""},     Machine{"aarch64", "arm64", ""}, Machine{"armv7l", "arm", "v7"},
    Machine{"armv6l", "arm", "v6"}, Machine{"armhf", "arm", "v7"},
};

Platform normalized(Platform platform) {
  for (const Machine& machine : kMachines) {
    if (platform.architecture != machine.kernel) continue;
    platform.architecture = machine.architecture;
    if (platform.variant.empty()) platform.variant = machine.variant;
  }
  if (platform.architecture == "arm64" && platform.variant == "v8") platform.variant.clear();
  return platform;
}

}  // namespace

Platform Platform::host() {
  utsname names{};
  BERTH_ASSERT(::uname(&names) == 0);
  return normalized({"linux", static_cast<const char*>(names.machine), ""});
}

Result<Platform> Platform::parse(std::string_view text) {
  const auto parts = split(lower(text), '/');
  const auto is_name = [](const std::string& part) {
    return !part.empty() &&
           part.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-.") == std::string::npos;
  };
  bool good = parts.size() == 2 || parts.size() == 3;
  for (const auto& part : parts) good = good && is_name(part);
  if (!good) {
    return fail(Code::InvalidArgument,
                fmt::format("platform \"{}\": use OS/ARCHITECTURE[/VARIANT], as in linux/amd64", text));
  }
  return normalized({parts[0], parts[1], parts.size() == 3 ? parts[2] : ""});
}

std::string Platform::text() const {
  return fmt::format("{}/{}{}{}", os, architecture, variant.empty() ? "" : "/", variant);
}

bool Platform::matches(const Platform& wanted) const {
  const Platform mine = normalized(*this);
  const Platform other = normalized(wanted);
  return mine.os == other.os && mine.architecture == other.architecture &&
         (other.variant.empty() || mine.variant == other.variant);
}

}  // namespace berth::image
