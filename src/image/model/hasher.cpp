// The half of digest.hpp that needs OpenSSL, apart so that programs which only compare digests do not carry
// it.
#include <fmt/core.h>
#include <openssl/evp.h>

#include <array>

#include "base/text.hpp"
#include "image/model/digest.hpp"

namespace berth::image {

struct Hasher::State {
  struct Deleter {
    void operator()(EVP_MD_CTX* raw) const { EVP_MD_CTX_free(raw); }
  };
  std::unique_ptr<EVP_MD_CTX, Deleter> context{EVP_MD_CTX_new()};
  std::string algorithm;
};

Hasher::Hasher(std::string_view algorithm) : state_(std::make_unique<State>()) {
  BERTH_ASSERT(algorithm == "sha256" || algorithm == "sha512");
  const EVP_MD* function = algorithm == "sha512" ? EVP_sha512() : EVP_sha256();
  BERTH_ASSERT(state_->context != nullptr &&
               EVP_DigestInit_ex(state_->context.get(), function, nullptr) == 1);
  state_->algorithm = algorithm;
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) {
  BERTH_ASSERT(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Digest Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned size = 0;
  BERTH_ASSERT(EVP_DigestFinal_ex(state_->context.get(), raw.data(), &size) == 1);
  const std::string_view bytes(reinterpret_cast<const char*>(raw.data()), size);
  auto digest = Digest::parse(state_->algorithm + ":" + to_hex(bytes));
  BERTH_ASSERT(digest.has_value());
  return *std::move(digest);
}

Digest digest_of(std::string_view bytes) {
  Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace berth::image
