#include "image/registry/printable.hpp"

namespace berth::image::registry {

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string shown(text.substr(0, max_bytes));
  for (char& c : shown) {
    if (is_control(c)) c = ' ';
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  if (text.size() > max_bytes) shown += "...";
  return shown;
}

}  // namespace berth::image::registry
