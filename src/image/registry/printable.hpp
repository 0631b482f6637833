// Words of strangers, made fit for a message: bounded, and without control characters that a terminal would
// obey.
#pragma once

#include <string>
#include <string_view>

namespace berth::image::registry {

constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// At most `max_bytes` of `text` ("..." says that there was more); control characters and bytes that are not
// ASCII become blanks and '?'.
std::string printable(std::string_view text, std::size_t max_bytes);

}  // namespace berth::image::registry
