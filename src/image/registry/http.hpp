// One HTTP exchange: what is asked, what is answered. No redirects, no retries, no authentication here.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "image/registry/url.hpp"

namespace berth::image::registry {

// Header fields in the order they came; names compare without case.
class Headers {
 public:
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  void clear() { fields_.clear(); }
  std::size_t size() const { return fields_.size(); }
  std::optional<std::string> find(std::string_view name) const;  // the first of that name
  std::vector<std::string> all(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Takes the body of a 2xx answer piece by piece. Its error ends the exchange and is what send() gives.
using BodySink = std::function<Result<void>(int status, const Headers& headers, std::string_view bytes)>;

// What is sent: `text`, or `size` bytes of the file `fd` from `offset` on.
struct RequestBody {
  std::string text;
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  static RequestBody of(std::string text);
};

struct Request {
  std::string method = "GET";
  Url url;
  Headers headers;
  std::optional<RequestBody> body;
  BodySink sink;                           // none: the body is collected in Response::body
  std::size_t max_body_bytes = 64 << 10;   // of a collected body; more is an error for 2xx, cut off otherwise
  std::chrono::seconds stall_timeout{30};  // without this much silence the exchange goes on
  std::function<void(std::uint64_t bytes)> on_sent;  // body bytes sent so far
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;
  Url url;  // that answered
};

// How a TLS peer is checked, and who we say we are.
struct TlsOptions {
  bool verify = true;
  std::string extra_authorities;   // PEM, trusted beside the system's
  std::string client_certificate;  // paths of PEM files; "" for none
  std::string client_key;
};

// A connection (kept alive between exchanges) owned and used by one thread.
class Connection {
 public:
  // `cancelled` (may be null) ends an exchange within about a second once it is true.
  explicit Connection(TlsOptions tls, const std::atomic<bool>* cancelled = nullptr);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  // Errors: Unavailable for what may pass (connection refused or lost, time-outs, names that do not resolve
  // now), ResourceExhausted for answers past the bounds (64 KiB of header fields, `max_body_bytes`),
  // FailedPrecondition for TLS failures; or the sink's own.
  Result<Response> send(const Request& request);

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace berth::image::registry
