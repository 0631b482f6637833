#include "image/registry/client.hpp"

#include <fmt/core.h>

#include "image/registry/printable.hpp"
#include "image/registry/registry_error.hpp"

namespace berth::image::registry {
namespace {

constexpr int kMaxRedirects = 8;
constexpr int kMaxAnswers = 2;  // to one 401 after another

// 307 and 308 ask for the same request, body and all, elsewhere; the others would turn a push into a GET
// (RFC 9110, 15.4).
bool may_follow(std::string_view method, int status) {
  switch (status) {
    case 301:
    case 302:
    case 303:
      return method == "GET" || method == "HEAD";
    case 307:
    case 308:
      return true;
    default:
      return false;
  }
}

Result<std::optional<Credentials>> credentials_for(const std::string& registry, const std::string& repository,
                                                   const AccessOptions& options) {
  if (options.credentials.empty()) return find_credentials(registry, repository, options.auth_file);
  return std::optional(TRY_DURING("--creds", Credentials::parse(options.credentials)));
}

}  // namespace

Result<std::shared_ptr<Session>> Session::open(const std::string& registry, const std::string& repository,
                                               const AccessOptions& options) {
  Endpoint endpoint = TRY(find_endpoint(registry, options));
  auto credentials = TRY(credentials_for(registry, repository, options));
  return std::make_shared<Session>(registry, std::move(endpoint), std::move(credentials));
}

void Session::cancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  woken_.notify_all();
}

bool Session::sleep(std::chrono::milliseconds duration) {
  std::unique_lock lock(mutex_);
  return !woken_.wait_for(lock, duration, [this] { return cancelled_.load(); });
}

Client::Client(std::shared_ptr<Session> session)
    : session_(std::move(session)), connection_(session_->endpoint().tls, &session_->cancelled()) {}

Result<Url> Client::api(std::string_view path) const {
  return session_->endpoint().base.resolve(fmt::format("/v2/{}", path));
}

Result<Response> Client::follow(Request request, const std::string& authorization) {
  const Url& home = session_->endpoint().base;
  const Headers own_headers = request.headers;
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    if (home.is_https() && !request.url.is_https()) {
      return fail(Code::PermissionDenied, fmt::format("{} sends us to {} without TLS: refused",
                                                      session_->registry(), request.url.host()));
    }
    request.headers = own_headers;
    if (!authorization.empty() && request.url.same_origin(home)) {
      request.headers.add("Authorization", authorization);
    }
    Response response = TRY_DURING(request.url.host(), connection_.send(request));
    if (!may_follow(request.method, response.status)) return response;
    const auto location = response.headers.find("Location");
    if (!location) {
      return fail(Code::InvalidArgument,
                  fmt::format("{}: redirects (status {}) to nowhere", request.url.host(), response.status));
    }
    request.url =
        TRY_DURING(fmt::format("redirect by {}", request.url.host()), request.url.resolve(*location));
  }
  return fail(Code::InvalidArgument,
              fmt::format("{}: redirects more than {} times", request.url.host(), kMaxRedirects));
}

Result<Response> Client::attempt(const Request& request, const Scopes& scopes) {
  retry_after_.reset();
  Authenticator& authenticator = session_->authenticator();
  std::string authorization = authenticator.authorization(scopes);
  for (int answers = 0;; ++answers) {
    Response response = TRY(follow(request, authorization));
    if (is_passing_status(response.status)) {
      retry_after_ = retry_after(response);
      return fail(status_error(response, response.url.host()));
    }
    const bool ours = response.url.same_origin(session_->endpoint().base);
    if (response.status != 401 || !ours || answers == kMaxAnswers) return response;
    authorization = TRY(authenticator.answer(response, authorization, scopes, connection_));
  }
}

Result<void> Client::wait_to_retry(Backoff& backoff, Error error) {
  if (error.code != Code::Unavailable) return fail(std::move(error));
  const auto wait = backoff.next(retry_after_);
  if (!wait) {
    error.message += "; gave up after several attempts";
    return fail(std::move(error));
  }
  if (session_->on_retry) {
    session_->on_retry(
        fmt::format("retrying in {:.1f} s: {}", static_cast<double>(wait->count()) / 1000.0, error.message));
  }
  if (!session_->sleep(*wait)) return fail(Code::Cancelled, "cancelled");
  return {};
}

Result<Response> Client::exchange(const Request& request, const Scopes& scopes) {
  Backoff backoff(session_->backoff);
  while (true) {
    auto response = attempt(request, scopes);
    if (response) return response;
    TRY(wait_to_retry(backoff, std::move(response).error()));
  }
}

Failure Client::refusal(const Response& response, std::string_view attempt) const {
  Error error = status_error(response, attempt);
  const std::string& registry = session_->registry();
  if (response.status == 401) {
    error.message += fmt::format(
        ": it does not exist or needs other credentials; run \"berth image login {}\" or give --creds",
        registry);
  } else if (response.status == 403) {
    error.message += fmt::format(": {} does not allow it with these credentials", registry);
  }
  return fail(std::move(error));
}

}  // namespace berth::image::registry
