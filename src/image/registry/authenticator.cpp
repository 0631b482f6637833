#include "image/registry/authenticator.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "image/registry/printable.hpp"
#include "image/registry/registry_error.hpp"

namespace berth::image::registry {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxTokenBytes = 64 << 10;
constexpr std::size_t kMaxTokenAnswerBytes = 256 << 10;
constexpr std::chrono::seconds kMaxTokenLife{24 * 3600};
constexpr std::chrono::seconds kTokenMargin{5};  // a token about to expire is no longer sent

std::string form_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-_.~").find(c) != std::string_view::npos;
    if (plain) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::string basic_value(const Credentials& credentials) {
  return "Basic " + base64_encode(credentials.username + ":" + credentials.password);
}

// The address that hands out tokens. Secrets go there, so it may not be less protected than the registry
// itself.
Result<Url> token_service(const Challenge& challenge, const Url& registry) {
  Url service = TRY_DURING("the registry's token service (realm)", Url::parse(challenge.parameter("realm")));
  if (registry.is_https() && !service.is_https()) {
    return fail(Code::PermissionDenied,
                fmt::format("the registry sends us to {} for a token, without TLS: refused", service.host()));
  }
  return service;
}

Scopes wanted_scopes(const Challenge& challenge, const Scopes& scopes) {
  if (!scopes.empty() || challenge.parameter("scope").empty()) return scopes;
  return {challenge.parameter("scope")};
}

// token.md: a GET with the scopes in the query, basic authentication where there are credentials.
Result<Request> get_request(const Challenge& challenge, Url service, const Scopes& scopes,
                            const std::optional<Credentials>& credentials) {
  if (const std::string name = challenge.parameter("service"); !name.empty()) {
    service = TRY(service.with_query("service", name));
  }
  for (const std::string& scope : wanted_scopes(challenge, scopes)) {
    service = TRY(service.with_query("scope", scope));
  }
  Request request;
  if (credentials && !credentials->username.empty()) {
    service = TRY(service.with_query("account", credentials->username));
    request.headers.add("Authorization", basic_value(*credentials));
  }
  request.url = std::move(service);
  return request;
}

// oauth.md: a POST that trades the identity token for an access token.
Request post_request(const Challenge& challenge, Url service, const Scopes& scopes,
                     const Credentials& credentials) {
  const std::string form = fmt::format(
      "grant_type=refresh_token&client_id=berth&service={}&scope={}&refresh_token={}",
      form_encode(challenge.parameter("service")), form_encode(join(wanted_scopes(challenge, scopes), " ")),
      form_encode(credentials.identity_token));
  Request request;
  request.method = "POST";
  request.url = std::move(service);
  request.headers.add("Content-Type", "application/x-www-form-urlencoded");
  request.body = RequestBody::of(form);
  return request;
}

const Challenge* find_scheme(const std::vector<Challenge>& challenges, std::string_view scheme) {
  for (const Challenge& challenge : challenges) {
    if (challenge.scheme == scheme) return &challenge;
  }
  return nullptr;
}

std::vector<Challenge> challenges_of(const Response& response) {
  std::vector<Challenge> challenges;
  for (const std::string& field : response.headers.all("WWW-Authenticate")) {
    for (Challenge& challenge : parse_challenges(field)) challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace

Result<TokenAnswer> TokenAnswer::parse(std::string_view json) {
  const auto parsed = parse_json(json, "token");
  // The parser's own message could quote the token.
  if (!parsed) return fail(Code::InvalidArgument, "the token service's answer is not valid JSON");
  const JsonView document(*parsed, "token");
  TokenAnswer answer;
  answer.token = TRY(document.string_or("token", ""));
  if (answer.token.empty()) answer.token = TRY(document.string_or("access_token", ""));
  const bool fit = std::none_of(answer.token.begin(), answer.token.end(),
                                [](char c) { return is_control(c) || c == ' '; });
  if (answer.token.empty() || answer.token.size() > kMaxTokenBytes || !fit) {
    return fail(Code::InvalidArgument, "the token service's answer holds no usable token");
  }
  const std::int64_t life = TRY(document.int_or("expires_in", 60));
  answer.life = std::chrono::seconds(std::clamp<std::int64_t>(life, 1, kMaxTokenLife.count()));
  return answer;
}

Failure Authenticator::login_needed(std::string_view problem) const {
  return fail(Code::Unauthenticated, fmt::format("{} {}: run \"berth image login {}\" or give --creds",
                                                 registry_, problem, registry_));
}

std::string Authenticator::current(const std::string& key) {
  if (basic_asked_ && credentials_) return basic_value(*credentials_);
  const auto found = tokens_.find(key);
  if (found == tokens_.end() || found->second.expires <= Clock::now()) return "";
  return "Bearer " + found->second.value;
}

std::string Authenticator::authorization(const Scopes& scopes) {
  const std::lock_guard lock(mutex_);
  return current(join(scopes, " "));
}

Result<std::string> Authenticator::basic() const {
  if (!credentials_ || credentials_->username.empty())
    return login_needed("asks for a user name and password");
  return basic_value(*credentials_);
}

Result<Authenticator::Token> Authenticator::fetch_token(const Challenge& challenge, const Url& registry,
                                                        const Scopes& scopes, Connection& connection) {
  const Url service = TRY(token_service(challenge, registry));
  const bool exchange = credentials_ && !credentials_->identity_token.empty();
  Request request = exchange ? post_request(challenge, service, scopes, *credentials_)
                             : TRY(get_request(challenge, service, scopes, credentials_));
  request.max_body_bytes = kMaxTokenAnswerBytes;
  const auto asked = Clock::now();
  const Response response =
      TRY_DURING(fmt::format("cannot get a token from {}", service.host()), connection.send(request));
  if (response.status == 401 || response.status == 403) {
    return login_needed(credentials_ ? "did not accept the credentials" : "asks for credentials");
  }
  if (response.status != 200) {
    return fail(status_error(response, fmt::format("cannot get a token from {}", service.host())));
  }
  TokenAnswer answer = TRY_DURING(service.host(), TokenAnswer::parse(response.body));
  const auto life = answer.life > 2 * kTokenMargin ? answer.life - kTokenMargin : answer.life;
  return Token{std::move(answer.token), asked + life};
}

Result<std::string> Authenticator::answer(const Response& unauthorized, const std::string& sent,
                                          const Scopes& scopes, Connection& connection) {
  const std::lock_guard lock(mutex_);
  const std::string key = join(scopes, " ");
  // Another thread may have got what we lack meanwhile.
  if (const std::string now = current(key); !now.empty() && now != sent) return now;
  const std::vector<Challenge> challenges = challenges_of(unauthorized);
  std::string value;
  if (const Challenge* bearer = find_scheme(challenges, "bearer")) {
    if (credentials_ && !credentials_->registry_token.empty()) {
      value = "Bearer " + credentials_->registry_token;
      tokens_[key] = Token{credentials_->registry_token, Clock::time_point::max()};
    } else {
      Token token = TRY(fetch_token(*bearer, unauthorized.url, scopes, connection));
      value = "Bearer " + token.value;
      tokens_[key] = std::move(token);
    }
  } else if (find_scheme(challenges, "basic") != nullptr) {
    value = TRY(basic());
    basic_asked_ = true;
  } else {
    return login_needed("refuses access without saying how to authenticate (status 401)");
  }
  if (value == sent) return login_needed("did not accept the credentials");
  return value;
}

}  // namespace berth::image::registry
