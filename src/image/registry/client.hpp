// Talking to one registry: redirects, authentication and patience around single exchanges.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "image/registry/authenticator.hpp"
#include "image/registry/backoff.hpp"
#include "image/registry/endpoint.hpp"

namespace berth::image::registry {

// What all threads of one pull or push share: where the registry is, who we are, and whether to stop.
class Session {
 public:
  // Looks up certificates and credentials for `repository` ("" when only the registry counts); sends nothing.
  static Result<std::shared_ptr<Session>> open(const std::string& registry, const std::string& repository,
                                               const AccessOptions& options);
  Session(std::string registry, Endpoint endpoint, std::optional<Credentials> credentials)
      : registry_(registry),
        endpoint_(std::move(endpoint)),
        authenticator_(std::move(registry), std::move(credentials)) {}

  const std::string& registry() const { return registry_; }
  const Endpoint& endpoint() const { return endpoint_; }
  Authenticator& authenticator() { return authenticator_; }

  void cancel();
  const std::atomic<bool>& cancelled() const { return cancelled_; }
  // Sleeps; false where cancel() cut it short.
  bool sleep(std::chrono::milliseconds duration);

  BackoffPolicy backoff;
  // Told of each wait before another attempt: "retrying in 2 s: connection reset". Called by any thread.
  std::function<void(const std::string&)> on_retry;

 private:
  const std::string registry_;
  const Endpoint endpoint_;
  Authenticator authenticator_;
  std::atomic<bool> cancelled_ = false;
  std::mutex mutex_;
  std::condition_variable woken_;
};

// One thread's line to the registry.
class Client {
 public:
  explicit Client(std::shared_ptr<Session> session);
  Session& session() { return *session_; }

  // "https://host/v2/<path>".
  Result<Url> api(std::string_view path) const;

  // One attempt: follows redirects of GET and HEAD (credentials go to the registry's own host and port alone,
  // and never from TLS to plain HTTP), answers a 401 once more. Unavailable for what may pass, passing
  // statuses included; any other answer, also one that says no, is a Response.
  Result<Response> attempt(const Request& request, const Scopes& scopes);

  // Attempts until there is an answer or patience ends.
  Result<Response> exchange(const Request& request, const Scopes& scopes);

  // After an Unavailable `error`: sleeps as `backoff` and the registry's Retry-After say. Gives `error` back
  // where it is time to give up, or where it is not one that passes.
  Result<void> wait_to_retry(Backoff& backoff, Error error);

  // The error for an answer that says no: what was attempted, the registry's words, what to do.
  Failure refusal(const Response& response, std::string_view attempt) const;

 private:
  Result<Response> follow(Request request, const std::string& authorization);

  std::shared_ptr<Session> session_;
  Connection connection_;
  std::optional<std::chrono::milliseconds> retry_after_;  // of the last attempt
};

}  // namespace berth::image::registry
