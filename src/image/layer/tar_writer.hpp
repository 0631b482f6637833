// Writes tar archives in the pax format. The adapter to libarchive: nothing of it shows here.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/result.hpp"
#include "image/layer/tar_entry.hpp"

namespace berth::image {

// The same entries give the same bytes. Extended attributes are written as SCHILY.xattr.*, which GNU tar,
// Go's archive/tar (so Docker, containerd, Podman and umoci) and libarchive read.
class TarWriter {
 public:
  using Sink = std::function<Result<void>(std::string_view)>;

  static Result<TarWriter> open(Sink sink);
  TarWriter(TarWriter&&) noexcept;
  ~TarWriter();

  Result<void> add(const TarEntry& entry);
  Result<void> write(std::string_view content);  // of the last entry; as much as its size says in all
  Result<void> finish();                         // once, last

 private:
  struct State;
  explicit TarWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace berth::image
