#include "term/template.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/json_value.hpp"
#include "base/text.hpp"

namespace berth::term {
namespace {

std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == 't' || next == 'n' || next == '\\') {
      plain += next == 't' ? '\t' : next == 'n' ? '\n' : '\\';
      ++i;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

std::string as_json(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string as_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "" : as_json(value);
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Result<Template::Piece> Template::parse_action(std::string_view action) {
  const auto bad = [action] {
    return fail(Code::InvalidArgument,
                fmt::format("--format: \"{{{{{}}}}}\" is not understood: use {{{{.Field}}}}, "
                            "or json, len, upper or lower before it",
                            action));
  };
  std::string_view rest = trim(action);
  Piece piece;
  piece.has_action = true;
  if (!rest.starts_with('.')) {
    const auto blank = std::min(rest.find(' '), rest.size());
    piece.function = rest.substr(0, blank);
    rest = trim(rest.substr(blank));
    const std::vector<std::string_view> known = {"json", "len", "upper", "lower"};
    if (std::find(known.begin(), known.end(), piece.function) == known.end()) return bad();
  }
  if (!rest.starts_with('.')) return bad();
  piece.path = split(rest.substr(1), '.');
  if (!std::all_of(piece.path.begin(), piece.path.end(), [](const auto& part) { return is_name(part); }))
    return bad();
  return piece;
}

Result<Template> Template::parse(std::string_view text) {
  Template result;
  for (;;) {
    const auto open = text.find("{{");
    if (open == std::string_view::npos) break;
    const auto close = text.find("}}", open);
    if (close == std::string_view::npos)
      return fail(Code::InvalidArgument, "--format: \"{{\" without \"}}\"");
    Piece piece = TRY(parse_action(text.substr(open + 2, close - open - 2)));
    piece.literal = unescape(text.substr(0, open));
    result.pieces_.push_back(std::move(piece));
    text.remove_prefix(close + 2);
  }
  Piece tail;
  tail.literal = unescape(text);
  result.pieces_.push_back(std::move(tail));
  return result;
}

namespace {

Result<const Json*> look_up(const Json& value, const std::vector<std::string>& path) {
  const Json* found = &value;
  for (const std::string& name : path) {
    const auto member = found->is_object() ? found->find(name) : found->end();
    if (member == found->end()) {
      return fail(Code::NotFound, fmt::format("--format: there is no field .{}", join(path, ".")));
    }
    found = &*member;
  }
  return found;
}

Result<std::string> length_of(const Json& value) {
  if (value.is_string()) return fmt::format("{}", value.get_ref<const std::string&>().size());
  if (value.is_array() || value.is_object() || value.is_null()) return fmt::format("{}", value.size());
  return fail(Code::InvalidArgument, "--format: len wants a list, a map or a text");
}

}  // namespace

Result<std::string> Template::render(const Json& value, const Json& texts) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    out += piece.literal;
    if (!piece.has_action) continue;
    const Json& found = *TRY(look_up(value, piece.path));
    const bool has_text = piece.path.size() == 1 && texts.contains(piece.path[0]);
    const std::string text = has_text ? as_text(texts[piece.path[0]]) : as_text(found);
    if (piece.function == "json")
      out += as_json(found);
    else if (piece.function == "len")
      out += TRY(length_of(found));
    else if (piece.function == "upper")
      out += upper(text);
    else if (piece.function == "lower")
      out += lower(text);
    else
      out += text;
  }
  return out;
}

std::string Template::headings(const Json& titles) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    out += piece.literal;
    if (!piece.has_action) continue;
    const std::string name = join(piece.path, ".");
    out += titles.contains(name) ? as_text(titles[name]) : upper(name);
  }
  return out;
}

}  // namespace berth::term
