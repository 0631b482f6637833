// Reads tar archives (ustar, pax, GNU, v7) entry by entry. The adapter to libarchive: nothing of it shows
// here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "image/layer/tar_entry.hpp"

namespace berth::image {

// Used by one thread. Names come out byte for byte, whatever their encoding. Headers (long names, extended
// attributes, maps of sparse files) of more than kMaxHeaderBytes an entry are refused, so memory is bounded
// whatever the archive says.
class TarReader {
 public:
  static constexpr std::uint64_t kMaxHeaderBytes = 4 << 20;

  // The archive's next bytes, valid until the next call; empty at the end.
  using Source = std::function<Result<std::string_view>()>;

  static Result<TarReader> open(Source source);
  TarReader(TarReader&&) noexcept;
  ~TarReader();

  // Goes to the next entry, whatever was not read of this one's content; false at the end of the archive.
  // DataLoss where the archive is damaged or ends early; the source's error where that failed.
  Result<bool> next(TarEntry& entry);

  struct Block {
    std::string_view bytes;
    std::uint64_t offset = 0;  // holes of a sparse file lie between blocks
  };
  // More of the entry's content, valid until the next call; nullopt at its end.
  Result<std::optional<Block>> read();

 private:
  struct State;
  explicit TarReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace berth::image
