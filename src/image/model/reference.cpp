#include "image/model/reference.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.hpp"

// Grammar: https://pkg.go.dev/github.com/distribution/reference (reference.go's comment), and normalize.go's
// rules for short forms.
namespace berth::image {
namespace {

constexpr std::string_view kDefaultRegistry = "docker.io";
constexpr std::string_view kOfficialPrefix = "library/";
constexpr std::string_view kDefaultTag = "latest";
constexpr std::size_t kMostNameBytes = 255;
constexpr std::size_t kMostTagBytes = 128;
constexpr std::size_t kMostReferenceBytes = kMostNameBytes + kMostTagBytes + 160;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_alnum(char c) { return is_digit(c) || is_lower(c) || is_upper(c); }

bool is_tag(std::string_view tag) {
  const auto is_word = [](char c) { return is_alnum(c) || c == '_'; };
  return !tag.empty() && tag.size() <= kMostTagBytes && is_word(tag[0]) &&
         std::all_of(tag.begin(), tag.end(), [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

// Runs of lower-case letters and digits, joined by one '.', one or two '_' or any number of '-'.
bool is_path_component(std::string_view part) {
  const auto is_plain = [](char c) { return is_lower(c) || is_digit(c); };
  if (part.empty() || !is_plain(part.front()) || !is_plain(part.back())) return false;
  for (std::size_t i = 0; i < part.size();) {
    if (is_plain(part[i])) {
      ++i;
      continue;
    }
    const char separator = part[i];
    const std::size_t end = std::min(part.find_first_not_of(separator, i), part.size());
    const std::size_t most = separator == '.' ? 1 : separator == '_' ? 2 : separator == '-' ? part.size() : 0;
    if (end - i > most || !is_plain(part[end])) return false;
    i = end;
  }
  return true;
}

bool is_repository(std::string_view repository) {
  const auto parts = split(repository, '/');
  return !parts.empty() &&
         std::all_of(parts.begin(), parts.end(), [](const auto& p) { return is_path_component(p); });
}

bool is_host_component(std::string_view part) {
  return !part.empty() && is_alnum(part.front()) && is_alnum(part.back()) &&
         std::all_of(part.begin(), part.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

bool is_host(std::string_view host) {
  if (host.starts_with('[')) {
    const auto is_ipv6 = [](char c) {
      return is_digit(c) || (lower({&c, 1})[0] >= 'a' && lower({&c, 1})[0] <= 'f') || c == ':';
    };
    return host.size() > 2 && host.ends_with(']') && std::all_of(host.begin() + 1, host.end() - 1, is_ipv6);
  }
  const auto parts = split(host, '.');
  return !parts.empty() &&
         std::all_of(parts.begin(), parts.end(), [](const auto& p) { return is_host_component(p); });
}

bool is_registry(std::string_view registry) {
  const auto bracket = registry.rfind(']');
  const auto colon = registry.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (!is_host(registry.substr(0, colon))) return false;
  if (colon == std::string_view::npos) return true;
  const auto port = parse_u64(registry.substr(colon + 1));
  return port && *port <= 65535;
}

// "host" of "host/rest" counts as a registry only if it could not be a part of a repository's name.
bool names_registry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos ||
         std::any_of(first.begin(), first.end(), is_upper);
}

Failure bad(std::string_view text, std::string_view problem) {
  return fail(Code::InvalidArgument,
              fmt::format("image name \"{}\": {}", text.substr(0, kMostReferenceBytes), problem));
}

// Takes "@digest" and ":tag" off the end of `rest`.
Result<void> take_suffixes(std::string_view text, std::string_view& rest, Reference& reference) {
  if (const auto at = rest.find('@'); at != std::string_view::npos) {
    reference.digest = TRY_DURING(fmt::format("image name \"{}\"", text), Digest::parse(rest.substr(at + 1)));
    rest = rest.substr(0, at);
  }
  const auto slash = rest.rfind('/');
  const auto colon = rest.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    reference.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!is_tag(reference.tag)) {
      return bad(text,
                 "the tag after ':' must be 1 to 128 letters, digits, '_', '.' or '-', and not begin with "
                 "'.' or '-'");
    }
  } else if (!reference.digest) {
    reference.tag = kDefaultTag;
  }
  return {};
}

}  // namespace

Result<Reference> Reference::parse(std::string_view text) {
  if (text.empty()) return bad(text, "empty");
  if (text.size() > kMostReferenceBytes) return bad(text, "too long");
  Reference reference;
  std::string_view rest = text;
  TRY(take_suffixes(text, rest, reference));
  const auto slash = rest.find('/');
  if (slash != std::string_view::npos && names_registry(rest.substr(0, slash))) {
    reference.registry = rest.substr(0, slash);
    rest = rest.substr(slash + 1);
    if (!is_registry(reference.registry))
      return bad(text, fmt::format("\"{}\" is not a host", reference.registry));
  } else {
    reference.registry = kDefaultRegistry;
  }
  if (reference.registry == "index.docker.io") reference.registry = kDefaultRegistry;
  if (rest.empty()) return bad(text, "the repository is missing");
  if (!is_repository(rest)) {
    return bad(text, "a repository is made of lower-case letters and digits, joined by '/', '.', '_' or '-'");
  }
  const bool is_id = rest.size() == 64 && Digest::parse("sha256:" + std::string(rest)).has_value();
  if (is_id && slash == std::string_view::npos) return bad(text, "64 hex digits are an image id, not a name");
  const bool official = reference.registry == kDefaultRegistry && rest.find('/') == std::string_view::npos;
  reference.repository = official ? std::string(kOfficialPrefix) + std::string(rest) : std::string(rest);
  if (reference.name().size() > kMostNameBytes) {
    return bad(text, fmt::format("longer than {} characters", kMostNameBytes));
  }
  return reference;
}

std::string Reference::name() const { return registry + "/" + repository; }

std::string Reference::text() const {
  std::string full = name();
  if (!tag.empty()) full += ":" + tag;
  if (digest) full += "@" + digest->text();
  return full;
}

std::string Reference::familiar() const {
  std::string_view full = repository;
  if (registry != kDefaultRegistry) return text();
  if (full.starts_with(kOfficialPrefix) && full.find('/', kOfficialPrefix.size()) == std::string_view::npos) {
    full.remove_prefix(kOfficialPrefix.size());
  } else if (names_registry(full.substr(0, full.find('/')))) {
    return text();
  }
  return std::string(full) + text().substr(name().size());
}

}  // namespace berth::image
