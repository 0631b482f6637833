// Reads the archives in which kernels come: ar, tar and single compressed files. The adapter to libarchive.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::kernel {

// Used by one thread.
class Archive {
 public:
  enum class Form {
    Ar,   // Debian's packages
    Tar,  // compressed with gzip, xz, zstd or lz4, or not
    Raw,  // one compressed file
  };
  // The next bytes, valid until the next call; empty at the end.
  using Source = std::function<Result<std::string_view>()>;

  static Result<Archive> open(Form form, Source source);
  Archive(Archive&&) noexcept;
  ~Archive();

  struct Entry {
    std::string path;
    bool is_file = false;
  };
  // Goes to the next entry; false at the end. DataLoss where the archive is damaged.
  Result<bool> next(Entry& entry);
  // More of the entry's content, valid until the next call; empty at its end.
  Result<std::string_view> read();
  // All of the entry's content; ResourceExhausted past `limit` bytes.
  Result<std::string> read_all(std::size_t limit);

 private:
  struct State;
  explicit Archive(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace berth::kernel
