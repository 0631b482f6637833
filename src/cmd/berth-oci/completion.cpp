#include "base/completion.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cmd/berth-oci/command.hpp"

namespace berth::cmd {
namespace {

struct Named {
  std::vector<std::string> options;
  std::vector<std::string> valued;  // those that a value follows
};

// "-b, --bundle DIR"
void add_option(const std::string& text, Named& named) {
  std::string name;
  for (std::string word : split(text, ' ')) {
    if (word.ends_with(',')) word.pop_back();
    if (!word.starts_with('-')) {
      named.valued.push_back(name);
      return;
    }
    named.options.push_back(word);
    name = word;
  }
}

// The options that lines of --help tell of: columns that two spaces part, words for a person among them.
Named options_in(std::string_view help) {
  Named named;
  for (const std::string& line : split(std::string(help), '\n')) {
    for (std::size_t at = 0, end = 0; at < line.size(); at = end + 1) {
      end = std::min(line.find("  ", at), line.size());
      const std::string column(trim(std::string_view(line).substr(at, end - at)));
      if (column.starts_with('-')) add_option(column, named);
    }
  }
  return named;
}

}  // namespace

Result<int> run_completion(const Globals&, const Args& args) {
  if (args.size() != 1) return fail(Code::InvalidArgument, "name the shell: bash, zsh or fish");
  const std::string help = usage();
  const Named globals = options_in(std::string_view(help).substr(help.rfind("global options:")));
  CompletedProgram program{"berth-oci", {{"", "", globals.options}}, globals.valued, "list --quiet"};
  for (const OciCommand& command : oci_commands()) {
    CompletedCommand& completed = program.commands.emplace_back();
    completed.name = command.name;
    completed.summary = command.summary;
    for (const std::string_view lines : command.options) {
      const auto options = options_in(lines).options;
      completed.options.insert(completed.options.end(), options.begin(), options.end());
    }
  }
  print(TRY(completion_script(program, args.front())));
  return 0;
}

}  // namespace berth::cmd
