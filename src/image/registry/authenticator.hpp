// Proves to one registry who we are: basic authentication, and bearer tokens from the service that the
// registry names (distribution: docs/spec/auth/token.md and oauth.md).
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "image/registry/auth_file.hpp"
#include "image/registry/challenge.hpp"
#include "image/registry/http.hpp"

namespace berth::image::registry {

// What is to be done: "repository:library/busybox:pull". Several where a push mounts blobs of other
// repositories.
using Scopes = std::vector<std::string>;

// Shared by the threads that talk to the registry. Tokens are kept, by scope, until they expire.
class Authenticator {
 public:
  Authenticator(std::string registry, std::optional<Credentials> credentials)
      : registry_(std::move(registry)), credentials_(std::move(credentials)) {}

  // The Authorization value to send; "" while the registry has not asked for any (or the token has expired).
  std::string authorization(const Scopes& scopes);

  // Answers a 401 to a request that was sent with `sent`: gives the value to try next. Unauthenticated where
  // there is nothing better to send.
  Result<std::string> answer(const Response& unauthorized, const std::string& sent, const Scopes& scopes,
                             Connection& connection);

 private:
  struct Token {
    std::string value;
    std::chrono::steady_clock::time_point expires;
  };
  std::string current(const std::string& key);
  Result<std::string> basic() const;
  Result<Token> fetch_token(const Challenge& challenge, const Url& registry, const Scopes& scopes,
                            Connection& connection);
  Failure login_needed(std::string_view problem) const;

  const std::string registry_;
  const std::optional<Credentials> credentials_;
  std::mutex mutex_;  // guards all below
  bool basic_asked_ = false;
  std::map<std::string, Token> tokens_;  // by the scopes, joined
};

// A token service's answer: the token, and its life in seconds (60 where not told, as specified).
struct TokenAnswer {
  std::string token;
  std::chrono::seconds life{60};
  static Result<TokenAnswer> parse(std::string_view json);
};

}  // namespace berth::image::registry
