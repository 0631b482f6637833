// Profiles come from files that users are given by others: any bytes give a profile or an error, and what was
// read compiles or says why not.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "isolate/seccomp_profile.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto profile = berth::isolate::seccomp_profile_for(text, berth::sys::default_capabilities());
  if (profile && profile->rules.size() < 16) static_cast<void>(berth::sys::compile_seccomp(*profile));
  return 0;
}
