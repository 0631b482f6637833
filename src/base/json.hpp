// JSON values, with readers whose errors name the field: "manifest.layers[2].size: expected a number, found a
// string".
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth {

using Json = nlohmann::json;  // "base/json_value.hpp" to make one or look into it

// Parses a whole document; `name` says in errors what it is ("manifest"). Nesting deeper than 64 is refused.
Result<Json> parse_json(std::string_view text, std::string_view name);

// A JSON value together with the path that leads to it, for reading untrusted documents field by field.
// A view: the Json must outlive it.
class JsonView {
 public:
  JsonView(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  const Json& raw() const { return *value_; }
  const std::string& path() const { return path_; }
  bool has(std::string_view key) const;  // present and not null

  // A member that must be there / that may be absent or null.
  Result<JsonView> at(std::string_view key) const;
  Result<std::optional<JsonView>> find(std::string_view key) const;

  Result<std::string> as_string() const;
  Result<std::int64_t> as_int() const;
  Result<std::uint64_t> as_uint() const;
  Result<bool> as_bool() const;
  Result<double> as_double() const;
  Result<std::vector<JsonView>> as_array() const;
  Result<std::vector<std::string>> as_strings() const;
  Result<std::vector<std::pair<std::string, JsonView>>> as_object() const;

  // Member readers; the `_or` forms give `fallback` where the member is absent or null.
  Result<std::string> string(std::string_view key) const;
  Result<std::string> string_or(std::string_view key, std::string fallback) const;
  Result<std::int64_t> int_or(std::string_view key, std::int64_t fallback) const;
  Result<std::uint64_t> uint(std::string_view key) const;
  Result<bool> bool_or(std::string_view key, bool fallback) const;
  Result<std::vector<std::string>> strings_or_empty(std::string_view key) const;
  Result<std::vector<JsonView>> array_or_empty(std::string_view key) const;

  // InvalidArgument "path: problem".
  Failure bad(std::string_view problem) const;

 private:
  Failure expected(std::string_view what) const;
  const Json* value_;
  std::string path_;
};

}  // namespace berth
