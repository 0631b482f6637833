#include <gtest/gtest.h>

#include "base/json_value.hpp"

namespace berth {
namespace {

TEST(Json, ErrorsNameTheField) {
  const Json document = *parse_json(R"({"layers":[{"size":1},{"size":"x"}],"n":null})", "manifest");
  const JsonView view(document, "manifest");
  const auto layers = *view.array_or_empty("layers");
  EXPECT_EQ(*layers[0].uint("size"), 1U);
  EXPECT_EQ(layers[1].uint("size").error().message,
            "manifest.layers[1].size: expected a whole number of 0 or more, found a string");
  EXPECT_EQ(view.at("absent").error().message, "manifest.absent: missing");
  EXPECT_FALSE(view.has("n"));
  EXPECT_EQ(*view.string_or("n", "d"), "d");
}

TEST(Json, RefusesDeepNestingAndGarbage) {
  EXPECT_FALSE(parse_json("{", "x").has_value());
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_EQ(parse_json(deep, "config").error().message, "config: nested more than 64 levels deep");
}

}  // namespace
}  // namespace berth
