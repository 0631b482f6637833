// Compresses a layer's archive into a blob, taking the digests of both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "image/layer/layer.hpp"

namespace berth::image {

// Writes to `out` what compressing gives; the same input gives the same bytes.
class Encoder {
 public:
  static std::unique_ptr<Encoder> make(int out, Compression compression);
  virtual ~Encoder() = default;

  Result<void> write(std::string_view archive_bytes);
  Result<PackedLayer> finish();  // once, last

 protected:
  explicit Encoder(int out) : out_(out) {}
  // Compresses `bytes`; with `last` also ends the stream.
  virtual Result<void> compress(std::string_view bytes, bool last) = 0;
  Result<void> put(std::string_view compressed);

 private:
  int out_;
  Hasher archive_hash_;
  Hasher blob_hash_;
  std::uint64_t size_ = 0;
};

}  // namespace berth::image
