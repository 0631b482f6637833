#include "base/json.hpp"

#include <fmt/core.h>

#include "base/json_value.hpp"

namespace berth {
namespace {

constexpr int kMaxDepth = 64;

std::string type_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view name) {
  bool too_deep = false;
  const auto watch_depth = [&too_deep](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  try {
    Json value = Json::parse(text, watch_depth);
    if (too_deep) {
      return fail(Code::InvalidArgument, fmt::format("{}: nested more than {} levels deep", name, kMaxDepth));
    }
    return value;
  } catch (const Json::exception& error) {
    return fail(Code::InvalidArgument, fmt::format("{}: not valid JSON: {}", name, error.what()));
  }
}

bool JsonView::has(std::string_view key) const {
  if (!value_->is_object()) return false;
  const auto it = value_->find(key);
  return it != value_->end() && !it->is_null();
}

Result<std::optional<JsonView>> JsonView::find(std::string_view key) const {
  if (!value_->is_object()) return expected("an object");
  if (!has(key)) return std::optional<JsonView>{};
  return std::optional<JsonView>(JsonView(*value_->find(key), fmt::format("{}.{}", path_, key)));
}

Result<JsonView> JsonView::at(std::string_view key) const {
  auto found = TRY(find(key));
  if (!found) return fail(Code::InvalidArgument, fmt::format("{}.{}: missing", path_, key));
  return *std::move(found);
}

Result<std::string> JsonView::as_string() const {
  if (!value_->is_string()) return expected("a string");
  return value_->get<std::string>();
}

Result<std::int64_t> JsonView::as_int() const {
  if (!value_->is_number_integer()) return expected("a whole number");
  if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > INT64_MAX) return bad("too large");
  return value_->get<std::int64_t>();
}

Result<std::uint64_t> JsonView::as_uint() const {
  if (!value_->is_number_unsigned()) return expected("a whole number of 0 or more");
  return value_->get<std::uint64_t>();
}

Result<bool> JsonView::as_bool() const {
  if (!value_->is_boolean()) return expected("true or false");
  return value_->get<bool>();
}

Result<double> JsonView::as_double() const {
  if (!value_->is_number()) return expected("a number");
  return value_->get<double>();
}

Result<std::vector<JsonView>> JsonView::as_array() const {
  if (!value_->is_array()) return expected("an array");
  std::vector<JsonView> items;
  items.reserve(value_->size());
  for (const Json& item : *value_) items.emplace_back(item, fmt::format("{}[{}]", path_, items.size()));
  return items;
}

Result<std::vector<std::string>> JsonView::as_strings() const {
  std::vector<std::string> strings;
  for (const JsonView& item : TRY(as_array())) strings.push_back(TRY(item.as_string()));
  return strings;
}

Result<std::vector<std::pair<std::string, JsonView>>> JsonView::as_object() const {
  if (!value_->is_object()) return expected("an object");
  std::vector<std::pair<std::string, JsonView>> members;
  for (const auto& [key, value] : value_->items()) {
    members.emplace_back(key, JsonView(value, fmt::format("{}.{}", path_, key)));
  }
  return members;
}

Result<std::string> JsonView::string(std::string_view key) const { return TRY(at(key)).as_string(); }

Result<std::string> JsonView::string_or(std::string_view key, std::string fallback) const {
  const auto member = TRY(find(key));
  return member ? member->as_string() : Result<std::string>(std::move(fallback));
}

Result<std::int64_t> JsonView::int_or(std::string_view key, std::int64_t fallback) const {
  const auto member = TRY(find(key));
  return member ? member->as_int() : Result<std::int64_t>(fallback);
}

Result<std::uint64_t> JsonView::uint(std::string_view key) const { return TRY(at(key)).as_uint(); }

Result<bool> JsonView::bool_or(std::string_view key, bool fallback) const {
  const auto member = TRY(find(key));
  return member ? member->as_bool() : Result<bool>(fallback);
}

Result<std::vector<std::string>> JsonView::strings_or_empty(std::string_view key) const {
  const auto member = TRY(find(key));
  return member ? member->as_strings() : Result<std::vector<std::string>>(std::vector<std::string>{});
}

Result<std::vector<JsonView>> JsonView::array_or_empty(std::string_view key) const {
  const auto member = TRY(find(key));
  return member ? member->as_array() : Result<std::vector<JsonView>>(std::vector<JsonView>{});
}

Failure JsonView::bad(std::string_view problem) const {
  return fail(Code::InvalidArgument, fmt::format("{}: {}", path_, problem));
}

Failure JsonView::expected(std::string_view what) const {
  return bad(fmt::format("expected {}, found {}", what, type_of(*value_)));
}

}  // namespace berth
