// linux.resources as properties of a systemd unit, so that systemd keeps the limits when it writes a group's
// files anew (daemon-reload).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/cgroup.hpp"
#include "sys/systemd.hpp"

namespace berth::isolate {

// From what runtime_v1_settings() and runtime_v2_settings() give; files that systemd has no property for are
// left out. Source: systemd.resource-control(5), org.freedesktop.systemd1(5).
Result<std::vector<sys::SystemdProperty>> systemd_limits(const std::vector<sys::CgroupSetting>& settings);

// DevicePolicy and DeviceAllow. `devices` is the text of /proc/devices, which names kinds by their major
// number.
std::vector<sys::SystemdProperty> systemd_devices(const std::vector<sys::DeviceRule>& rules,
                                                  std::string_view devices);

// A property from its value in GVariant's text form ("true", "uint64 5", "'text'", "['a', 'b']"). NAMESec in
// seconds is systemd's NAMEUSec. InvalidArgument for another form.
Result<sys::SystemdProperty> parse_systemd_property(const std::string& name, std::string_view value);

}  // namespace berth::isolate
