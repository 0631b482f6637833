#include "image/archive/change.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/json_value.hpp"
#include "base/text.hpp"

namespace berth::image {
namespace {

using Words = std::vector<std::string>;

// Words between blanks; quotes of both kinds and backslashes work as in a shell.
Result<Words> shell_words(std::string_view text) {
  Words words;
  std::string word;
  char quote = '\0';
  bool in_word = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\0' && (c == ' ' || c == '\t')) {
      if (in_word) words.push_back(std::exchange(word, ""));
      in_word = false;
      continue;
    }
    in_word = true;
    if (c == '\\' && quote != '\'' && i + 1 < text.size())
      word += text[++i];
    else if (c == quote)
      quote = '\0';
    else if (quote == '\0' && (c == '"' || c == '\''))
      quote = c;
    else
      word += c;
  }
  if (quote != '\0') return fail(Code::InvalidArgument, "a quote is not closed");
  if (in_word) words.push_back(word);
  return words;
}

// The JSON form as it is, the plain form through a shell.
Result<Words> command(std::string_view text) {
  if (!text.starts_with('[')) return Words{"/bin/sh", "-c", std::string(text)};
  const Json parsed = TRY(parse_json(text, "command"));
  return JsonView(parsed, "command").as_strings();
}

Result<std::pair<std::string, std::string>> key_value(const std::string& word) {
  const auto equals = word.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(Code::InvalidArgument, fmt::format("\"{}\" is not NAME=VALUE", word));
  }
  return std::pair(word.substr(0, equals), word.substr(equals + 1));
}

void add_unique(Words& list, const std::string& item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

Result<void> change_cmd(ImageConfig& config, std::string_view value) {
  config.cmd = TRY(command(value));
  return {};
}

Result<void> change_entrypoint(ImageConfig& config, std::string_view value) {
  config.entrypoint = TRY(command(value));
  return {};
}

Result<void> change_env(ImageConfig& config, std::string_view value) {
  Words words = TRY(shell_words(value));
  if (words.size() == 2 && words[0].find('=') == std::string::npos)
    words = {words[0] + "=" + words[1]};  // the old form
  for (const std::string& word : words) {
    const auto [key, unused] = TRY(key_value(word));
    std::erase_if(config.env,
                  [prefix = key + "="](const std::string& old) { return old.starts_with(prefix); });
    config.env.push_back(word);
  }
  return {};
}

Result<void> change_expose(ImageConfig& config, std::string_view value) {
  for (const std::string& word : TRY(shell_words(value))) {
    const auto slash = word.find('/');
    const auto port = parse_u64(std::string_view(word).substr(0, slash));
    const std::string protocol = slash == std::string::npos ? "tcp" : lower(word.substr(slash + 1));
    if (!port || *port == 0 || *port > 65535 ||
        (protocol != "tcp" && protocol != "udp" && protocol != "sctp")) {
      return fail(Code::InvalidArgument, fmt::format("\"{}\" is not PORT[/tcp|udp|sctp]", word));
    }
    add_unique(config.exposed_ports, fmt::format("{}/{}", *port, protocol));
  }
  return {};
}

Result<void> change_label(ImageConfig& config, std::string_view value) {
  for (const std::string& word : TRY(shell_words(value))) {
    const auto [key, text] = TRY(key_value(word));
    config.labels[key] = text;
  }
  return {};
}

Result<void> change_volume(ImageConfig& config, std::string_view value) {
  const Words paths = value.starts_with('[') ? TRY(command(value)) : TRY(shell_words(value));
  for (const std::string& path : paths) add_unique(config.volumes, path);
  return {};
}

Result<void> change_workdir(ImageConfig& config, std::string_view value) {
  const std::string base = config.working_dir.empty() ? "/" : config.working_dir + "/";
  config.working_dir = value.starts_with('/') ? std::string(value) : base + std::string(value);
  return {};
}

Result<void> change_user(ImageConfig& config, std::string_view value) {
  config.user = value;
  return {};
}

Result<void> change_stop_signal(ImageConfig& config, std::string_view value) {
  config.stop_signal = value;
  return {};
}

struct Instruction {
  std::string_view name;
  Result<void> (*apply)(ImageConfig&, std::string_view);
};

constexpr std::array kInstructions = {
    Instruction{"cmd", change_cmd},         Instruction{"entrypoint", change_entrypoint},
    Instruction{"env", change_env},         Instruction{"expose", change_expose},
    Instruction{"label", change_label},     Instruction{"stopsignal", change_stop_signal},
    Instruction{"user", change_user},       Instruction{"volume", change_volume},
    Instruction{"workdir", change_workdir},
};

}  // namespace

Result<void> apply_change(ImageConfig& config, std::string_view change) {
  const std::string_view text = trim(change);
  const auto blank = std::min(text.find_first_of(" \t="), text.size());
  const std::string name = lower(text.substr(0, blank));
  std::string_view value = text.substr(blank);
  if (value.starts_with('=')) value.remove_prefix(1);  // Podman's form: CMD=/bin/sh
  value = trim(value);
  const std::string what = fmt::format("--change \"{}\"", change);
  if (value.empty()) return fail(Code::InvalidArgument, what + ": a value is missing");
  for (const Instruction& instruction : kInstructions) {
    if (instruction.name != name) continue;
    TRY_DURING(what, instruction.apply(config, value));
    return {};
  }
  return fail(Code::InvalidArgument,
              what + ": use CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR");
}

}  // namespace berth::image
