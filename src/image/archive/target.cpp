#include "image/archive/target.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include "image/layer/tar_writer.hpp"
#include "sys/fd.hpp"

namespace berth::image {
namespace {

class TarTarget : public Target {
 public:
  explicit TarTarget(TarWriter writer) : writer_(std::move(writer)) {}

  Result<void> add(const std::string& name, std::uint64_t size,
                   const std::function<Result<void>(const Write&)>& produce) override {
    TarEntry entry;
    entry.path = name;
    entry.size = size;
    entry.metadata.mode = 0644;
    TRY(writer_.add(entry));
    return produce([this](std::string_view bytes) { return writer_.write(bytes); });
  }

  Result<void> finish() override { return writer_.finish(); }

 private:
  TarWriter writer_;
};

class DirectoryTarget : public Target {
 public:
  explicit DirectoryTarget(std::string path) : path_(std::move(path)) {}

  Result<void> add(const std::string& name, std::uint64_t,
                   const std::function<Result<void>(const Write&)>& produce) override {
    const std::string path = path_ + "/" + name;
    TRY(sys::make_dir(path.substr(0, path.rfind('/'))));
    const sys::Fd fd = TRY(sys::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
    return produce([&fd, &path](std::string_view bytes) -> Result<void> {
      TRY_DURING(path, sys::write_all(fd.get(), bytes));
      return {};
    });
  }

  Result<void> finish() override { return {}; }

 private:
  std::string path_;
};

}  // namespace

Result<void> Target::add_text(const std::string& name, std::string_view content) {
  return add(name, content.size(), [content](const Write& write) { return write(content); });
}

Result<std::unique_ptr<Target>> make_tar_target(int out) {
  TarWriter writer =
      TRY(TarWriter::open([out](std::string_view bytes) { return sys::write_all(out, bytes); }));
  return std::unique_ptr<Target>(std::make_unique<TarTarget>(std::move(writer)));
}

std::unique_ptr<Target> make_directory_target(const std::string& path) {
  return std::make_unique<DirectoryTarget>(path);
}

}  // namespace berth::image
