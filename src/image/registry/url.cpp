#include "image/registry/url.hpp"

#include <curl/curl.h>
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/text.hpp"
#include "image/registry/printable.hpp"

namespace berth::image::registry {
namespace {

constexpr std::size_t kMaxUrlBytes = 16 << 10;
constexpr std::size_t kShownBytes = 200;

struct HandleCloser {
  void operator()(CURLU* handle) const { curl_url_cleanup(handle); }
};
using Handle = std::unique_ptr<CURLU, HandleCloser>;

std::optional<std::string> part(CURLU* handle, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(handle, which, &text, flags) != CURLUE_OK) return std::nullopt;
  std::string value(text);
  curl_free(text);
  return value;
}

Failure bad_address(std::string_view text, std::string_view problem) {
  return fail(Code::InvalidArgument,
              fmt::format("address \"{}\": {}", printable(text, kShownBytes), problem));
}

Result<void> set_url(CURLU* handle, std::string_view text) {
  if (text.size() > kMaxUrlBytes) return bad_address(text, fmt::format("longer than {} bytes", kMaxUrlBytes));
  if (std::any_of(text.begin(), text.end(), [](char c) { return is_control(c) || c == ' '; })) {
    return bad_address(text, "has a space or a control character in it");
  }
  const CURLUcode code = curl_url_set(handle, CURLUPART_URL, std::string(text).c_str(), 0);
  if (code != CURLUE_OK) return bad_address(text, curl_url_strerror(code));
  return {};
}

}  // namespace

Result<Url> Url::parse(std::string_view text) { return Url{}.resolve(text); }

Result<Url> Url::resolve(std::string_view location) const {
  const Handle handle(curl_url());
  BERTH_ASSERT(handle != nullptr);
  if (!text_.empty()) TRY(set_url(handle.get(), text_));
  TRY(set_url(handle.get(), location));
  if (part(handle.get(), CURLUPART_USER) || part(handle.get(), CURLUPART_PASSWORD)) {
    return fail(Code::InvalidArgument, "an address with a user name in it is refused");
  }
  curl_url_set(handle.get(), CURLUPART_FRAGMENT, nullptr, 0);
  Url url;
  url.scheme_ = part(handle.get(), CURLUPART_SCHEME).value_or("");
  if (url.scheme_ != "http" && url.scheme_ != "https") {
    return bad_address(location, "only http and https addresses are followed");
  }
  const auto name = part(handle.get(), CURLUPART_HOST);
  if (!name) return bad_address(location, "names no host");
  const auto port = part(handle.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.host_ = fmt::format("{}:{}", lower(*name), port.value_or(""));
  url.text_ = part(handle.get(), CURLUPART_URL).value_or("");
  return url;
}

Result<Url> Url::with_query(std::string_view name, std::string_view value) const {
  const Handle handle(curl_url());
  BERTH_ASSERT(handle != nullptr);
  TRY(set_url(handle.get(), text_));
  const std::string pair = fmt::format("{}={}", name, value);
  if (curl_url_set(handle.get(), CURLUPART_QUERY, pair.c_str(), CURLU_APPENDQUERY | CURLU_URLENCODE) !=
      CURLUE_OK) {
    return bad_address(text_, fmt::format("cannot add {} to its query", name));
  }
  Url url = *this;
  url.text_ = part(handle.get(), CURLUPART_URL).value_or("");
  return url;
}

std::string Url::without_query() const { return printable(text_.substr(0, text_.find('?')), kShownBytes); }

}  // namespace berth::image::registry
