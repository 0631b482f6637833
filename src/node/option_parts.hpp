// Options of several parts: -v, --tmpfs, --device, --ulimit, --userns and the resources.
#pragma once

#include <string>

#include "base/result.hpp"
#include "isolate/config.hpp"

namespace berth::node {

Result<isolate::VolumeMount> parse_volume(const std::string& text);  // SRC:DST[:ro|rw]; SRC is made absolute
Result<isolate::VolumeMount> parse_tmpfs(const std::string& text);   // DST[:size=SIZE,ro]
Result<isolate::DeviceMapping> parse_device(const std::string& text);  // HOST[:UNIT[:rwm]]
Result<isolate::Rlimit> parse_ulimit(const std::string& text);         // NAME=SOFT[:HARD]; -1 is unlimited
// NAME,ip=ADDRESS/BITS[,gateway=ADDRESS][,dns=ADDRESS]...
Result<isolate::GuestInterface> parse_tap(const std::string& text);
Result<isolate::UserMapping> parse_userns(const std::string& text);  // [0:]HOST_START:COUNT
Result<sys::IoMax> parse_io_max(const std::string& text);            // DEVICE:rbps=,wbps=,riops=,wiops=

}  // namespace berth::node
