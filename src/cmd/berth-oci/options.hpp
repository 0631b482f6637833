// Command-line options as runc's and crun's clients write them: "--name value", "--name=value", "-n value",
// "-abc". A parser of our own: declaring options to a library would cost more than most of these commands do.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace berth::cmd {

class Options {
 public:
  // Flags take "=true" and "=false" as well. Targets outlive the parsing.
  void flag(std::string_view name, char letter, bool& target);
  void value(std::string_view name, char letter, std::string& target);
  void list(std::string_view name, char letter, std::vector<std::string>& target);
  void number(std::string_view name, char letter, int& target);

  // What is no option. With `first_operand_ends` everything behind the first one is taken as it is; "--" ends
  // options in any case.
  Result<std::vector<std::string>> parse(const std::vector<std::string>& args, bool first_operand_ends) const;

 private:
  struct Option {
    std::string_view name;
    char letter;
    std::variant<bool*, std::string*, std::vector<std::string>*, int*> target;
    bool is_flag() const { return std::holds_alternative<bool*>(target); }
  };
  const Option* find(std::string_view name) const;
  const Option* find(char letter) const;
  static Result<void> set(const Option& option, const std::string& shown, const std::string& text);
  Result<void> parse_long(const std::vector<std::string>& args, std::size_t& at) const;
  Result<void> parse_short(const std::vector<std::string>& args, std::size_t& at) const;

  std::vector<Option> options_;
};

}  // namespace berth::cmd
