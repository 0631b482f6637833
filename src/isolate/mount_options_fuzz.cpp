// Mount options come from bundles that others made: any words give options or an error, never data on a plain
// bind.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/text.hpp"
#include "isolate/mount_options.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto options = berth::isolate::parse_mount_options(berth::split(text, ','), "options");
  if (options)
    BERTH_ASSERT((options->mount.set & options->mount.clear & ~berth::isolate::attr::kAtimeMask) == 0);
  return 0;
}
