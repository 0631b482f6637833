// Messages come from another process: any bytes give a message or an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sys/dbus_message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(berth::sys::decode(std::string_view(reinterpret_cast<const char*>(data), size)));
  return 0;
}
