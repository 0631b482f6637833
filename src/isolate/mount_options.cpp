#include "isolate/mount_options.hpp"

#include <fmt/core.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>

namespace berth::isolate {
namespace {

constexpr std::size_t kMaxWord = 255;  // fsconfig(2) takes no longer strings
constexpr std::size_t kMaxWords = 1024;

struct AttributeWord {
  std::string_view word;  // with an "r" before it, it holds for all mounts below too
  std::uint64_t set;
  std::uint64_t clear;
};
constexpr std::array<AttributeWord, 18> kAttributes = {{
    {"atime", 0, attr::kAtimeMask},
    {"dev", 0, attr::kNoDev},
    {"diratime", 0, attr::kNoDirAtime},
    {"exec", 0, attr::kNoExec},
    {"noatime", attr::kNoAtime, attr::kAtimeMask},
    {"nodev", attr::kNoDev, 0},
    {"nodiratime", attr::kNoDirAtime, 0},
    {"noexec", attr::kNoExec, 0},
    {"norelatime", 0, attr::kAtimeMask},
    {"nostrictatime", 0, attr::kAtimeMask},
    {"nosuid", attr::kNoSuid, 0},
    {"nosymfollow", attr::kNoSymFollow, 0},
    {"relatime", 0, attr::kAtimeMask},
    {"ro", attr::kReadOnly, 0},
    {"rw", 0, attr::kReadOnly},
    {"strictatime", attr::kStrictAtime, attr::kAtimeMask},
    {"suid", 0, attr::kNoSuid},
    {"symfollow", 0, attr::kNoSymFollow},
}};

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 4> kPropagations = {
    {{"private", MS_PRIVATE}, {"shared", MS_SHARED}, {"slave", MS_SLAVE}, {"unbindable", MS_UNBINDABLE}}};

constexpr std::array<std::pair<std::string_view, bool MountOptions::*>, 4> kSwitches = {
    {{"bind", &MountOptions::bind},
     {"remount", &MountOptions::remount},
     {"src-nofollow", &MountOptions::source_nofollow},
     {"tmpcopyup", &MountOptions::copy_up}}};

// Of the file system as a whole; fsconfig(2) knows these words for each type.
constexpr std::array<std::string_view, 7> kSuperblock = {"async", "dirsync", "lazytime",  "mand",
                                                         "sync",  "nomand",  "nolazytime"};
// The kernel decides these by itself by now (since 2.6.33 to 5.15), or they say what is so anyway.
constexpr std::array<std::string_view, 5> kWithoutEffect = {"defaults", "iversion", "loud", "noiversion",
                                                            "silent"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

void apply(const AttributeWord& row, AttributeChange& change) {
  change.set = (change.set & ~row.clear) | row.set;
  // The three ways of access times are cleared as one, also where one of them is then set (mount_setattr(2)).
  change.clear = (change.clear & ~(row.set & ~attr::kAtimeMask)) | row.clear;
}

bool take_attribute(std::string_view word, MountOptions& options) {
  for (const AttributeWord& row : kAttributes) {
    const bool alone = word == row.word;
    const bool whole_tree =
        word.size() == row.word.size() + 1 && word.front() == 'r' && word.ends_with(row.word);
    if (!alone && !whole_tree) continue;
    apply(row, alone ? options.mount : options.tree);
    return true;
  }
  return false;
}

bool take_switch(std::string_view word, MountOptions& options) {
  for (const auto& [name, member] : kSwitches) {
    if (word != name) continue;
    options.*member = true;
    return true;
  }
  return false;
}

bool take_word(std::string_view word, MountOptions& options) {
  if (take_attribute(word, options) || take_switch(word, options)) return true;
  if (const auto propagation = parse_propagation(word)) {
    options.propagation.push_back(*propagation);
    return true;
  }
  if (word == "rbind") options.bind = options.recursive_bind = true;
  if (word == "idmap") options.shift = IdShift::Mount;
  if (word == "ridmap") options.shift = IdShift::Tree;
  if (contains(kSuperblock, word)) options.superblock.emplace_back(word, "");
  return word == "rbind" || word == "idmap" || word == "ridmap" || contains(kSuperblock, word) ||
         contains(kWithoutEffect, word);
}

Result<void> take_data(const std::string& word, MountOptions& options, const std::string& field) {
  if (word.empty() || word.front() == '=' || word.find('\0') != std::string::npos)
    return fail(Code::InvalidArgument, fmt::format("{}: \"{}\" is not a mount option", field, word));
  const std::size_t equals = word.find('=');
  const std::string key = word.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
  if (key.size() > kMaxWord || (value.size() > kMaxWord && key != "lowerdir")) {
    return fail(Code::InvalidArgument, fmt::format("{}: {} is longer than the {} bytes that the kernel takes",
                                                   field, key.substr(0, 32), kMaxWord));
  }
  options.data.emplace_back(key, value);
  return {};
}

}  // namespace

std::optional<PropagationChange> parse_propagation(std::string_view word) {
  for (const auto& [name, kind] : kPropagations) {
    if (word == name) return PropagationChange{kind, false};
    if (word.size() == name.size() + 1 && word.front() == 'r' && word.ends_with(name))
      return PropagationChange{kind, true};
  }
  return std::nullopt;
}

Result<MountOptions> parse_mount_options(const std::vector<std::string>& words, const std::string& field) {
  MountOptions options;
  if (words.size() > kMaxWords)
    return fail(Code::InvalidArgument, fmt::format("{}: more than {} words", field, kMaxWords));
  std::optional<std::size_t> flag;  // a word without "=" that is the file system's
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (take_word(words[i], options)) continue;
    TRY(take_data(words[i], options, fmt::format("{}[{}]", field, i)));
    if (words[i].find('=') == std::string::npos) flag = i;
  }
  if (flag && options.bind && !options.remount) {
    return fail(Code::InvalidArgument, fmt::format("{}[{}]: \"{}\" is not an option that a bind mount has",
                                                   field, *flag, words[*flag]));
  }
  return options;
}

Result<MountOptions> parse_mount_options(const JsonView& words) {
  return parse_mount_options(TRY(words.as_strings()), words.path());
}

std::vector<std::string_view> mount_option_words() {
  // The recursive forms need a place to live.
  static const std::vector<std::string> recursive = [] {
    std::vector<std::string> made;
    for (const AttributeWord& row : kAttributes) made.push_back("r" + std::string(row.word));
    for (const auto& [name, kind] : kPropagations) made.push_back("r" + std::string(name));
    return made;
  }();
  std::vector<std::string_view> words(recursive.begin(), recursive.end());
  for (const AttributeWord& row : kAttributes) words.push_back(row.word);
  for (const auto& [name, kind] : kPropagations) words.push_back(name);
  for (const auto& [name, member] : kSwitches) words.push_back(name);
  words.insert(words.end(), kSuperblock.begin(), kSuperblock.end());
  words.insert(words.end(), kWithoutEffect.begin(), kWithoutEffect.end());
  words.insert(words.end(), {"rbind", "idmap", "ridmap"});
  std::sort(words.begin(), words.end());
  return words;
}

}  // namespace berth::isolate
