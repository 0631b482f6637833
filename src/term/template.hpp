// The part of Go's templates that people use with --format: {{.Field}}, {{.Outer.Inner}}, {{json .Field}},
// {{len .Field}}, {{upper .Field}}, {{lower .Field}} and {{.}}, with \t and \n outside of the braces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace berth::term {

class Template {
 public:
  // InvalidArgument says which action is not understood.
  static Result<Template> parse(std::string_view text);

  // `value` is what "." is. A field that `texts` has (an object of strings) prints as that text; the others
  // print strings bare, numbers and booleans plainly, and anything else as JSON. NotFound names a field that
  // is missing.
  Result<std::string> render(const Json& value, const Json& texts) const;

  // The template with each action replaced by its field's title: the heading of a "table" template.
  std::string headings(const Json& titles) const;

 private:
  struct Piece {
    std::string literal;            // printed before the action
    std::string function;           // "", "json", "len", "upper", "lower"
    std::vector<std::string> path;  // empty: "."
    bool has_action = false;
  };
  static Result<Piece> parse_action(std::string_view action);
  std::vector<Piece> pieces_;
};

}  // namespace berth::term
