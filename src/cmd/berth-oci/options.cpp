#include "cmd/berth-oci/options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <climits>

#include "base/text.hpp"

namespace berth::cmd {
namespace {

Failure usage(std::string message) { return fail(Code::InvalidArgument, std::move(message)); }

}  // namespace

void Options::flag(std::string_view name, char letter, bool& target) {
  options_.push_back({name, letter, &target});
}
void Options::value(std::string_view name, char letter, std::string& target) {
  options_.push_back({name, letter, &target});
}
void Options::list(std::string_view name, char letter, std::vector<std::string>& target) {
  options_.push_back({name, letter, &target});
}
void Options::number(std::string_view name, char letter, int& target) {
  options_.push_back({name, letter, &target});
}

const Options::Option* Options::find(std::string_view name) const {
  const auto found =
      std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.name == name; });
  return found == options_.end() ? nullptr : &*found;
}

const Options::Option* Options::find(char letter) const {
  const auto found = std::find_if(options_.begin(), options_.end(),
                                  [&](const Option& o) { return letter != 0 && o.letter == letter; });
  return found == options_.end() ? nullptr : &*found;
}

Result<void> Options::set(const Option& option, const std::string& shown, const std::string& text) {
  if (const auto* flag = std::get_if<bool*>(&option.target)) {
    if (text != "true" && text != "false") return usage(fmt::format("{}={}: true or false", shown, text));
    **flag = text == "true";
  } else if (const auto* string = std::get_if<std::string*>(&option.target)) {
    **string = text;
  } else if (const auto* list = std::get_if<std::vector<std::string>*>(&option.target)) {
    (*list)->push_back(text);
  } else {
    const auto number = parse_u64(text);
    if (!number || *number > INT_MAX) return usage(fmt::format("{} {}: give a number", shown, text));
    *std::get<int*>(option.target) = static_cast<int>(*number);
  }
  return {};
}

Result<void> Options::parse_long(const std::vector<std::string>& args, std::size_t& at) const {
  const std::string& word = args[at];
  const auto equals = word.find('=');
  const std::string shown = word.substr(0, equals);
  const Option* option = find(std::string_view(shown).substr(2));
  if (option == nullptr) return usage(fmt::format("unknown option {}", shown));
  if (equals != std::string::npos) return set(*option, shown, word.substr(equals + 1));
  if (option->is_flag()) return set(*option, shown, "true");
  if (at + 1 >= args.size()) return usage(fmt::format("{}: needs a value", shown));
  return set(*option, shown, args[++at]);
}

Result<void> Options::parse_short(const std::vector<std::string>& args, std::size_t& at) const {
  const std::string& word = args[at];
  for (std::size_t i = 1; i < word.size(); ++i) {
    const std::string shown = fmt::format("-{}", word[i]);
    const Option* option = find(word[i]);
    if (option == nullptr) return usage(fmt::format("unknown option {}", shown));
    if (option->is_flag()) {
      TRY(set(*option, shown, "true"));
      continue;
    }
    std::string text = word.substr(i + 1);
    if (text.starts_with('=')) text.erase(0, 1);
    if (i + 1 < word.size()) return set(*option, shown, text);
    if (at + 1 >= args.size()) return usage(fmt::format("{}: needs a value", shown));
    return set(*option, shown, args[++at]);
  }
  return {};
}

Result<std::vector<std::string>> Options::parse(const std::vector<std::string>& args,
                                                bool first_operand_ends) const {
  std::vector<std::string> operands;
  const auto take_rest = [&](std::size_t from) {
    operands.insert(operands.end(), args.begin() + static_cast<std::ptrdiff_t>(from), args.end());
    return operands;
  };
  for (std::size_t at = 0; at < args.size(); ++at) {
    const std::string& word = args[at];
    if (word == "--") return take_rest(at + 1);
    if (word.size() < 2 || word[0] != '-') {
      if (first_operand_ends) return take_rest(at);
      operands.push_back(word);
    } else {
      TRY(word[1] == '-' ? parse_long(args, at) : parse_short(args, at));
    }
  }
  return operands;
}

}  // namespace berth::cmd
