// state.json may have been damaged, or be of another version: any text is read or refused, and what was read
// is written and read again the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "oci/state/state.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using berth::oci::State;
  const auto state = State::parse("id", {reinterpret_cast<const char*>(data), size});
  if (!state) return 0;
  const std::string text = state->text();
  const auto again = State::parse("id", text);
  BERTH_ASSERT(again && again->text() == text);
  return 0;
}
