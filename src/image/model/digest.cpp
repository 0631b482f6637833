#include "image/model/digest.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace berth::image {
namespace {

constexpr std::size_t kSha256HexDigits = 64;
constexpr std::size_t kSha512HexDigits = 128;
constexpr std::size_t kMostQuoted = 160;

std::size_t hex_digits_of(std::string_view algorithm) {
  if (algorithm == "sha256") return kSha256HexDigits;
  if (algorithm == "sha512") return kSha512HexDigits;
  return 0;
}

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  const auto colon = text.find(':');
  const std::size_t digits = colon == std::string_view::npos ? 0 : hex_digits_of(text.substr(0, colon));
  const std::string_view hex = colon == std::string_view::npos ? text : text.substr(colon + 1);
  if (digits == 0 || hex.size() != digits || !std::all_of(hex.begin(), hex.end(), is_lower_hex)) {
    return fail(Code::InvalidArgument,
                fmt::format("digest \"{}\": expected sha256: and 64, or sha512: and 128, "
                            "lower-case hex digits",
                            text.substr(0, kMostQuoted)));
  }
  Digest digest;
  digest.text_ = text;
  return digest;
}

std::string_view Digest::algorithm() const { return std::string_view(text_).substr(0, text_.find(':')); }

std::string_view Digest::hex() const {
  return empty() ? std::string_view() : std::string_view(text_).substr(text_.find(':') + 1);
}

std::string Digest::short_id() const { return std::string(hex().substr(0, 12)); }

}  // namespace berth::image
