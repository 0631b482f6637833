#include <fcntl.h>
#include <fmt/core.h>

#include "image/archive/source.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

class DirectorySource : public Source {
 public:
  DirectorySource(Store& store, sys::Fd root) : store_(&store), root_(std::move(root)) {}

  Result<bool> has(const std::string& name) override {
    const auto fd = open(name);
    if (!fd && fd.error().code != Code::NotFound) return fail(fd.error());
    return fd.has_value();
  }

  Result<std::string> read(const std::string& name) override {
    const sys::Fd fd = TRY(open(name));
    return TRY_DURING(name, sys::read_all(fd.get(), kMaxManifestBytes));
  }

  Result<Descriptor> describe(const std::string& name) override {
    const sys::Fd fd = TRY(open(name));
    Descriptor descriptor;
    Hasher hasher;
    TRY(each_block(fd.get(), [&](std::string_view block) -> Result<void> {
      hasher.update(block);
      descriptor.size += block.size();
      return {};
    }));
    descriptor.digest = hasher.finish();
    return descriptor;
  }

  // The last step must be a plain file; no step may be a link that leads out of the directory.
  Result<sys::Fd> open(const std::string& name) override {
    auto fd = sys::open_in_root(root_.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat info {};
    if (fd && ::fstat(fd->get(), &info) == 0 && !S_ISREG(info.st_mode)) {
      return fail(Code::InvalidArgument, fmt::format("{} is not a plain file", name));
    }
    return fd;
  }

  Result<void> take(const std::string& name, const Descriptor& descriptor) override {
    BlobWriter writer = TRY(store_->write_blob(descriptor));
    if (writer.present()) return {};
    const sys::Fd fd = TRY(open(name));
    TRY(writer.restart());
    TRY_DURING(name, each_block(fd.get(), [&](std::string_view block) { return writer.write(block); }));
    TRY_DURING(name, writer.commit());
    return {};
  }

 private:
  template <typename Consumer>
  static Result<void> each_block(int fd, Consumer consume) {
    std::string buffer(kReadBytes, '\0');
    for (;;) {
      const std::size_t count = TRY(sys::read_some(fd, buffer));
      if (count == 0) return {};
      TRY(consume(std::string_view(buffer).substr(0, count)));
    }
  }

  Store* store_;
  sys::Fd root_;
};

}  // namespace

Result<std::unique_ptr<Source>> open_directory(Store& store, const std::string& path) {
  sys::Fd root = TRY(sys::open(path, O_PATH | O_DIRECTORY));
  return std::unique_ptr<Source>(std::make_unique<DirectorySource>(store, std::move(root)));
}

}  // namespace berth::image
