// The bytes of a layer's archive from a blob, whatever it is compressed with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/result.hpp"

namespace berth::image {

// Called with the compressed bytes taken in so far.
using Progress = std::function<void(std::uint64_t compressed_bytes)>;

class Decoder {
 public:
  virtual ~Decoder() = default;
  // Fills `out` as far as the blob goes: fewer bytes than asked for only at the end, 0 after it.
  // DataLoss where the stream is damaged or ends early.
  virtual Result<std::size_t> read(std::span<char> out) = 0;
};

// Reads `blob` from its current position. gzip (RFC 1952, any number of members) and zstd (RFC 8878, any
// number of frames, windows of up to 128 MiB) are told by their first bytes; everything else passes as it is.
Result<std::unique_ptr<Decoder>> open_decoder(int blob, Progress progress);

}  // namespace berth::image
