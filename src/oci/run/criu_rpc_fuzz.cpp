// Answers come from another process: any bytes give an answer or an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "oci/run/criu_rpc.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto answer = berth::oci::parse_criu_answer(bytes);
  if (answer) BERTH_ASSERT(answer->script.size() + answer->message.size() <= size);
  return 0;
}
