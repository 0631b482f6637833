// Connection: libcurl's easy interface, with every bound that a hostile peer makes necessary.
#include <curl/curl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/text.hpp"
#include "image/registry/http.hpp"
#include "image/registry/printable.hpp"

namespace berth::image::registry {
namespace {

constexpr std::size_t kMaxHeaderBytes = 64 << 10;
constexpr std::size_t kMaxHeaderFields = 256;
constexpr long kConnectTimeoutSeconds = 15;
constexpr long kStallBytesPerSecond = 512;
constexpr long kReceiveBufferBytes = 512 << 10;
constexpr long kSendBufferBytes = 1 << 20;

struct ListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListFree>;

// The state of one exchange, which libcurl's callbacks share.
struct Exchange {
  const Request* request = nullptr;
  CURL* easy = nullptr;
  Response response;
  std::size_t header_bytes = 0;
  std::uint64_t sent = 0;
  std::optional<Error> error;  // of a callback; wins over what libcurl makes of it
  bool cut_off = false;        // an error page longer than anybody wants to read

  std::size_t stop(Failure failure) {
    error = std::move(failure).value();
    return 0;
  }
};

std::size_t on_header(char* data, std::size_t, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(data, count);
  exchange.header_bytes += count;
  if (exchange.header_bytes > kMaxHeaderBytes || exchange.response.headers.size() > kMaxHeaderFields) {
    return exchange.stop(
        fail(Code::ResourceExhausted, fmt::format("the answer has more than {} bytes or {} fields of header",
                                                  kMaxHeaderBytes, kMaxHeaderFields)));
  }
  if (line.starts_with("HTTP/")) {  // a new answer: the one before was informational (1xx)
    exchange.response.headers.clear();
    return count;
  }
  const auto colon = line.find(':');
  if (colon != std::string_view::npos) {
    exchange.response.headers.add(std::string(trim(line.substr(0, colon))),
                                  std::string(trim(line.substr(colon + 1))));
  }
  return count;
}

std::size_t collect(Exchange& exchange, std::string_view bytes, bool success) {
  std::string& body = exchange.response.body;
  const std::size_t room = exchange.request->max_body_bytes - body.size();
  if (bytes.size() <= room) {
    body += bytes;
    return bytes.size();
  }
  if (success) {
    return exchange.stop(fail(Code::ResourceExhausted, fmt::format("the answer is longer than {} bytes",
                                                                   exchange.request->max_body_bytes)));
  }
  body += bytes.substr(0, room);
  exchange.cut_off = true;
  return 0;
}

std::size_t on_body(char* data, std::size_t, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view bytes(data, count);
  long status = 0;
  curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
  const bool success = status >= 200 && status < 300;
  if (!success || !exchange.request->sink) return collect(exchange, bytes, success);
  auto taken = exchange.request->sink(static_cast<int>(status), exchange.response.headers, bytes);
  if (!taken) return exchange.stop(fail(std::move(taken).error()));
  return count;
}

std::size_t on_read(char* buffer, std::size_t, std::size_t capacity, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const RequestBody& body = *exchange.request->body;
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(capacity, body.size - exchange.sent));
  std::size_t got = wanted;
  if (body.fd < 0) {
    std::memcpy(buffer, body.text.data() + exchange.sent, wanted);
  } else if (wanted > 0) {
    const ssize_t count = ::pread(body.fd, buffer, wanted, static_cast<off_t>(body.offset + exchange.sent));
    if (count <= 0) {
      exchange.stop(count < 0 ? fail_errno("cannot read what is to be sent")
                              : fail(Code::DataLoss, "the file to be sent is shorter than it was"));
      return CURL_READFUNC_ABORT;
    }
    got = static_cast<std::size_t>(count);
  }
  exchange.sent += got;
  if (exchange.request->on_sent) exchange.request->on_sent(exchange.sent);
  return got;
}

int on_tick(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto* cancelled = static_cast<const std::atomic<bool>*>(user);
  return cancelled->load(std::memory_order_relaxed) ? 1 : 0;
}

int on_seek(void* user, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  exchange.sent = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

bool may_pass(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

bool is_tls_failure(CURLcode code) {
  switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return true;
    default:
      return false;
  }
}

std::string tls_hint(CURLcode code, std::string_view detail) {
  if (code == CURLE_PEER_FAILED_VERIFICATION) {
    return ": put the authority's certificate into /etc/containers/certs.d/HOST:PORT/ca.crt or give "
           "--cert-dir";
  }
  // What OpenSSL says when the peer's first bytes are not TLS.
  if (detail.find("wrong version number") != std::string_view::npos ||
      detail.find("packet length too long") != std::string_view::npos) {
    return ": the other side seems to speak plain HTTP; give --plain-http if that is intended";
  }
  return "";
}

Failure transport_failure(CURLcode code, std::string_view detail) {
  if (code == CURLE_ABORTED_BY_CALLBACK) return fail(Code::Cancelled, "cancelled");
  const std::string why = printable(detail.empty() ? curl_easy_strerror(code) : detail, 300);
  // A connection that is lost while TLS is being set up looks like a TLS failure, but may pass.
  const bool lost =
      code == CURLE_SSL_CONNECT_ERROR && (detail.find("SSL_ERROR_SYSCALL") != std::string_view::npos ||
                                          detail.find("reset by peer") != std::string_view::npos);
  if (lost) return fail(Code::Unavailable, why);
  if (is_tls_failure(code)) {
    return fail(Code::FailedPrecondition, fmt::format("TLS: {}{}", why, tls_hint(code, detail)));
  }
  return fail(may_pass(code) ? Code::Unavailable : Code::Internal, why);
}

void initialise_once() {
  static std::once_flag once;
  std::call_once(once, [] { BERTH_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
}

}  // namespace

struct Connection::Handle {
  TlsOptions tls;
  const std::atomic<bool>* cancelled;
  CURL* easy;
  char error_text[CURL_ERROR_SIZE] = {};

  Handle(TlsOptions options, const std::atomic<bool>* cancel)
      : tls(std::move(options)), cancelled(cancel), easy(curl_easy_init()) {
    BERTH_ASSERT(easy != nullptr);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { curl_easy_cleanup(easy); }

  void apply_tls();
  void apply_limits(const Request& request);
  void apply_callbacks(Exchange& exchange);
  List apply_request(const Request& request);
};

void Connection::Handle::apply_tls() {
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // As with every program on OpenSSL, these variables replace the system's authorities.
  if (const char* file = std::getenv("SSL_CERT_FILE")) curl_easy_setopt(easy, CURLOPT_CAINFO, file);
  if (const char* dir = std::getenv("SSL_CERT_DIR")) curl_easy_setopt(easy, CURLOPT_CAPATH, dir);
  if (!tls.extra_authorities.empty()) {
    // The blob takes the place of the bundle in one file; the system's hashed directory stays in use beside
    // it.
    curl_blob blob{tls.extra_authorities.data(), tls.extra_authorities.size(), CURL_BLOB_NOCOPY};
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
  }
  if (!tls.client_certificate.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLCERT, tls.client_certificate.c_str());
    curl_easy_setopt(easy, CURLOPT_SSLKEY, tls.client_key.c_str());
  }
}

void Connection::Handle::apply_limits(const Request& request) {
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectTimeoutSeconds);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, kSendBufferBytes);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
}

void Connection::Handle::apply_callbacks(Exchange& exchange) {
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
  curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, &exchange);
  if (cancelled == nullptr) return;
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_tick);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, cancelled);
}

List Connection::Handle::apply_request(const Request& request) {
  curl_easy_setopt(easy, CURLOPT_URL, request.url.text().c_str());
  if (request.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.body) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body->size));
  }
  if (request.method != "HEAD" && request.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  List list;
  const auto append = [&list](const std::string& line) {
    list.reset(curl_slist_append(list.release(), line.c_str()));
  };
  for (const auto& [name, value] : request.headers.fields()) append(name + ": " + value);
  append("Expect:");  // no pause for a "100 Continue" that many registries never send
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list.get());
  return list;
}

Connection::Connection(TlsOptions tls, const std::atomic<bool>* cancelled) {
  initialise_once();
  handle_ = std::make_unique<Handle>(std::move(tls), cancelled);
}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Result<Response> Connection::send(const Request& request) {
  CURL* easy = handle_->easy;
  curl_easy_reset(easy);  // options only; live connections stay
  handle_->error_text[0] = '\0';
  Exchange exchange;
  exchange.request = &request;
  exchange.easy = easy;
  exchange.response.url = request.url;
  handle_->apply_tls();
  handle_->apply_limits(request);
  handle_->apply_callbacks(exchange);
  const List headers = handle_->apply_request(request);
  const CURLcode code = curl_easy_perform(easy);
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  exchange.response.status = static_cast<int>(status);
  if (exchange.error) return fail(*std::move(exchange.error));
  // An answer that says no may come, and the connection go, before all of the body was sent.
  const bool refused_early = status >= 400 && (code == CURLE_SEND_ERROR || exchange.cut_off);
  if (code != CURLE_OK && !refused_early) return transport_failure(code, handle_->error_text);
  return std::move(exchange.response);
}

}  // namespace berth::image::registry
