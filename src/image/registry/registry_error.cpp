#include "image/registry/registry_error.hpp"

#include <curl/curl.h>
#include <fmt/core.h>

#include <ctime>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "image/registry/printable.hpp"

namespace berth::image::registry {
namespace {

constexpr std::size_t kMaxErrorsShown = 3;
constexpr std::size_t kMaxCodeShown = 64;
constexpr std::size_t kMaxMessageShown = 240;

Code code_of(int status) {
  switch (status) {
    case 400:
    case 405:
    case 413:
    case 416:
      return Code::InvalidArgument;
    case 401:
      return Code::Unauthenticated;
    case 403:
      return Code::PermissionDenied;
    case 404:
      return Code::NotFound;
    case 409:
      return Code::Aborted;
    default:
      return is_passing_status(status) ? Code::Unavailable : Code::Internal;
  }
}

std::string member(const Json& object, const char* name, std::size_t max_bytes) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return "";
  return printable(found->get_ref<const std::string&>(), max_bytes);
}

// "CODE: message; CODE: message" out of {"errors": [{"code", "message"}, ...]}; "" for anything else.
std::string registry_words(const std::string& body) {
  const auto parsed = parse_json(body, "error");
  if (!parsed || !parsed->is_object()) return "";
  const auto errors = parsed->find("errors");
  if (errors == parsed->end() || !errors->is_array()) return member(*parsed, "details", kMaxMessageShown);
  std::vector<std::string> words;
  for (const Json& error : *errors) {
    if (!error.is_object() || words.size() == kMaxErrorsShown) continue;
    const std::string code = member(error, "code", kMaxCodeShown);
    const std::string message = member(error, "message", kMaxMessageShown);
    words.push_back(code.empty() || message.empty() ? code + message : code + ": " + message);
  }
  return join(words, "; ");
}

}  // namespace

bool is_passing_status(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

Error status_error(const Response& response, std::string_view attempt) {
  std::string message = fmt::format("{}: HTTP status {}", attempt, response.status);
  const std::string words = registry_words(response.body);
  if (!words.empty()) message += ": " + words;
  return Error{code_of(response.status), 0, std::move(message)};
}

std::optional<std::chrono::milliseconds> retry_after(const Response& response) {
  const auto field = response.headers.find("Retry-After");
  if (!field) return std::nullopt;
  constexpr std::uint64_t kMostSeconds = 24 * 3600;
  if (const auto seconds = parse_u64(*field)) return std::chrono::seconds(std::min(*seconds, kMostSeconds));
  const time_t when = curl_getdate(field->c_str(), nullptr);
  const time_t now = std::time(nullptr);
  if (when < 0 || when <= now) return std::nullopt;
  return std::chrono::seconds(std::min(static_cast<std::uint64_t>(when - now), kMostSeconds));
}

}  // namespace berth::image::registry
