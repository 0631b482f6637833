// Where save writes files: into a tar, or below a directory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::image {

class Target {
 public:
  virtual ~Target() = default;
  // The content comes from `produce`, in pieces of `size` bytes in all.
  using Write = std::function<Result<void>(std::string_view)>;
  virtual Result<void> add(const std::string& name, std::uint64_t size,
                           const std::function<Result<void>(const Write&)>& produce) = 0;
  virtual Result<void> finish() = 0;  // once, last

  Result<void> add_text(const std::string& name, std::string_view content);
};

Result<std::unique_ptr<Target>> make_tar_target(int out);
std::unique_ptr<Target> make_directory_target(const std::string& path);

}  // namespace berth::image
