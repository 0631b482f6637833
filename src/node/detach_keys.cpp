#include "node/detach_keys.hpp"

#include <fmt/core.h>

#include "base/text.hpp"

namespace berth::node {

Result<std::string> parse_detach_keys(std::string_view text) {
  constexpr std::string_view kCtrl = "ctrl-";
  constexpr char kCtrlMask = 0x1f;
  std::string keys;
  for (const std::string& key : split(text, ',')) {
    const bool is_ctrl = key.size() == kCtrl.size() + 1 && key.starts_with(kCtrl);
    if (!is_ctrl && key.size() != 1) {
      return fail(
          Code::InvalidArgument,
          fmt::format("--detach-keys {}: {} is no key: use single characters and ctrl-X, with commas between",
                      text, key));
    }
    keys += is_ctrl ? static_cast<char>(key.back() & kCtrlMask) : key[0];
  }
  return keys;
}

bool DetachKeys::filter(std::string_view typed, std::string& out) {
  for (const char c : typed) {
    if (keys_.empty()) {
      out += c;
      continue;
    }
    if (c != keys_[matched_]) {
      out.append(keys_, 0, matched_);
      matched_ = 0;
    }
    if (c != keys_[matched_]) {
      out += c;
    } else if (++matched_ == keys_.size()) {
      return true;
    }
  }
  return false;
}

}  // namespace berth::node
