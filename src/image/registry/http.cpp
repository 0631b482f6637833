#include "image/registry/http.hpp"

#include "base/text.hpp"

namespace berth::image::registry {

std::optional<std::string> Headers::find(std::string_view name) const {
  const std::string wanted = lower(name);
  for (const auto& [key, value] : fields_) {
    if (lower(key) == wanted) return value;
  }
  return std::nullopt;
}

std::vector<std::string> Headers::all(std::string_view name) const {
  const std::string wanted = lower(name);
  std::vector<std::string> values;
  for (const auto& [key, value] : fields_) {
    if (lower(key) == wanted) values.push_back(value);
  }
  return values;
}

RequestBody RequestBody::of(std::string text) {
  RequestBody body;
  body.size = text.size();
  body.text = std::move(text);
  return body;
}

}  // namespace berth::image::registry
