#include "image/registry/challenge.hpp"

#include <cctype>

#include "base/text.hpp"

namespace berth::image::registry {
namespace {

constexpr std::size_t kMaxChallenges = 16;
constexpr std::size_t kMaxParameters = 16;

// RFC 9110, section 5.6.2; '/' and '+' besides, so that a token68 (11.2) reads as one word and is passed
// over.
bool is_token_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("!#$%&'*+-.^_`|~/").find(c) != std::string_view::npos;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void skip(std::string_view characters) {
    while (!text_.empty() && characters.find(text_.front()) != std::string_view::npos) text_.remove_prefix(1);
  }
  std::string_view token() {
    std::size_t length = 0;
    while (length < text_.size() && is_token_char(text_[length])) ++length;
    const std::string_view token = text_.substr(0, length);
    text_.remove_prefix(length);
    return token;
  }
  bool take(char wanted) {
    if (text_.empty() || text_.front() != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::string value() { return take('"') ? quoted() : std::string(token()); }

 private:
  // After the opening quote; a backslash takes the next character as it is.
  std::string quoted() {
    std::string value;
    while (!text_.empty() && !take('"')) {
      if (text_.front() == '\\' && text_.size() > 1) text_.remove_prefix(1);
      value += text_.front();
      text_.remove_prefix(1);
    }
    return value;
  }

  std::string_view text_;
};

}  // namespace

std::string Challenge::parameter(const std::string& name) const {
  const auto found = parameters.find(name);
  return found == parameters.end() ? std::string() : found->second;
}

std::vector<Challenge> parse_challenges(std::string_view field) {
  std::vector<Challenge> challenges;
  Reader reader(field);
  while (challenges.size() <= kMaxChallenges) {
    reader.skip(" \t,");
    const std::string word = lower(reader.token());
    if (word.empty()) break;
    reader.skip(" \t");
    if (!reader.take('=')) {
      challenges.push_back({word, {}});
      continue;
    }
    reader.skip(" \t=");  // more '=' is a token68's padding
    if (challenges.empty() || challenges.back().parameters.size() == kMaxParameters) break;
    challenges.back().parameters.emplace(word, reader.value());
  }
  if (challenges.size() > kMaxChallenges) challenges.resize(kMaxChallenges);
  return challenges;
}

}  // namespace berth::image::registry
