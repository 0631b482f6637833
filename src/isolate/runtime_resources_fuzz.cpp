// Resources come from bundles that others made: any document gives settings of plain file names, or an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json_value.hpp"
#include "isolate/runtime_resources.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace berth;
  const auto json = parse_json(std::string_view(reinterpret_cast<const char*>(data), size), "resources");
  if (!json) return 0;
  const auto resources = isolate::parse_runtime_resources(JsonView(*json, "linux.resources"));
  if (!resources) return 0;
  const auto nothing = [](std::string_view, const std::string&) -> Result<std::optional<std::string>> {
    return std::optional<std::string>();
  };
  for (const bool v2 : {false, true}) {
    const auto settings = v2 ? isolate::runtime_v2_settings(*resources, nothing)
                             : isolate::runtime_v1_settings(*resources, nothing);
    if (!settings) continue;
    for (const auto& setting : *settings) BERTH_ASSERT(setting.file.find('/') == std::string::npos);
  }
  return 0;
}
