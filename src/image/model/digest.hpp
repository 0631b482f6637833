// Content digests: "sha256:<64 hex digits>" (image-spec, descriptor.md), and the hasher that makes them.
#pragma once

#include <compare>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::image {

// A well-formed digest: sha256 (64 lower-case hex digits) or sha512 (128). Safe to use as a file name part.
class Digest {
 public:
  Digest() = default;
  static Result<Digest> parse(std::string_view text);

  std::string_view algorithm() const;  // "sha256"
  std::string_view hex() const;
  const std::string& text() const { return text_; }
  std::string short_id() const;  // the first 12 hex digits
  bool empty() const { return text_.empty(); }
  auto operator<=>(const Digest&) const = default;

 private:
  std::string text_;
};

// Incremental hashing (OpenSSL's, so with the processor's SHA instructions).
class Hasher {
 public:
  explicit Hasher(std::string_view algorithm = "sha256");
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(std::string_view bytes);
  Digest finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest digest_of(std::string_view bytes);

}  // namespace berth::image
