// Absolute http and https addresses, taken apart just enough to know whom one talks to.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::image::registry {

class Url {
 public:
  // Refuses other schemes, user names in the address and control characters.
  static Result<Url> parse(std::string_view text);
  // What `location` (absolute or relative, RFC 3986 section 5) means as seen from here. The fragment is
  // dropped.
  Result<Url> resolve(std::string_view location) const;
  // With "name=value" (the value percent-encoded) added to the query.
  Result<Url> with_query(std::string_view name, std::string_view value) const;

  const std::string& text() const { return text_; }
  bool is_https() const { return scheme_ == "https"; }
  const std::string& host() const { return host_; }  // lower case, with the port: "example.org:443"
  // Scheme, host and port are the same: what credentials are bound to.
  bool same_origin(const Url& other) const { return scheme_ == other.scheme_ && host_ == other.host_; }
  // For messages: without the query, which may carry a signature.
  std::string without_query() const;

 private:
  std::string text_;
  std::string scheme_;
  std::string host_;
};

}  // namespace berth::image::registry
