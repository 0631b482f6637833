#include "image/registry/credential_helper.hpp"

#include <fmt/core.h>

#include "base/json_value.hpp"
#include "image/registry/printable.hpp"
#include "sys/command.hpp"

namespace berth::image::registry {
namespace {

constexpr std::chrono::seconds kPatience{60};  // a helper may ask a person to unlock a key ring
constexpr std::size_t kMaxAnswerBytes = 64 << 10;

// Docker's Hub is filed under its oldest address.
std::string server_url(const std::string& registry) {
  const std::string key = registry_key(registry);
  return key == "docker.io" ? "https://index.docker.io/v1/" : key;
}

// Output is never quoted in errors: a helper may print what it was given.
Result<void> tell_helper(const std::string& helper, const std::string& verb, const std::string& text) {
  const std::string program = "docker-credential-" + helper;
  const std::string attempt = fmt::format("credential helper {} {}", program, verb);
  const sys::CommandOutput output =
      TRY_DURING(attempt, sys::run_command({program, verb}, {text, kPatience, kMaxAnswerBytes}));
  if (output.exit_code == 0) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("{} failed with exit code {}", attempt, output.exit_code));
}

}  // namespace

Result<void> store_in_helper(const std::string& helper, const std::string& registry,
                             const Credentials& credentials) {
  const Json request{{"ServerURL", server_url(registry)},
                     {"Username", credentials.username},
                     {"Secret", credentials.password}};
  return tell_helper(helper, "store", request.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Result<void> erase_in_helper(const std::string& helper, const std::string& registry) {
  return tell_helper(helper, "erase", server_url(registry));
}

Result<Credentials> parse_helper_answer(std::string_view json, const std::string& helper) {
  const std::string name = "docker-credential-" + helper;
  const auto parsed = parse_json(json, name);
  // The parser's own message could quote the secret.
  if (!parsed) return fail(Code::InvalidArgument, name + ": its answer is not valid JSON");
  const JsonView document(*parsed, name);
  const std::string username = TRY(document.string("Username"));
  const std::string secret = TRY(document.string("Secret"));
  for (const char c : username + secret) {
    if (is_control(c)) return document.bad("a control character in the user name or secret");
  }
  Credentials credentials;
  if (username == "<token>") {
    credentials.identity_token = secret;
  } else {
    credentials.username = username;
    credentials.password = secret;
  }
  return credentials;
}

Result<std::optional<Credentials>> ask_credential_helper(const std::string& helper,
                                                         const std::string& registry) {
  const std::string program = "docker-credential-" + helper;
  const sys::CommandOutput output =
      TRY_DURING(fmt::format("cannot ask the credential helper {} about {}", program, registry),
                 sys::run_command({program, "get"}, {server_url(registry), kPatience, kMaxAnswerBytes}));
  if (output.exit_code == 0) return std::optional(TRY(parse_helper_answer(output.text, helper)));
  // The protocol tells "nothing there" from a failure by this text alone.
  if (output.text.find("credentials not found") != std::string::npos) return std::optional<Credentials>{};
  return fail(Code::FailedPrecondition,
              fmt::format("credential helper {} failed for {} with exit code {}: {}", program, registry,
                          output.exit_code, printable(output.text, 200)));
}

}  // namespace berth::image::registry
