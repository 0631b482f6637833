#include "kernel/unpack/package.hpp"

#include <fmt/core.h>

#include <array>
#include <filesystem>

#include "base/text.hpp"
#include "kernel/unpack/archive.hpp"
#include "sys/fd.hpp"

namespace berth::kernel {
namespace {

constexpr std::string_view kArMagic = "!<arch>\n";
constexpr std::size_t kMaxModuleBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxModules = 20000;

std::string file_name(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }
bool is_module(std::string_view path) {
  for (const std::string_view ending : {".ko", ".ko.xz", ".ko.zst", ".ko.gz"})
    if (path.ends_with(ending)) return true;
  return false;
}
std::string module_name(std::string_view path) {
  const std::string name = file_name(path);
  return plain_module_name(name.substr(0, name.find(".ko")));
}

Archive::Source bytes_of(const sys::Fd& file, std::vector<char>& buffer) {
  return [&file, &buffer]() -> Result<std::string_view> {
    return std::string_view(buffer.data(), TRY(sys::read_some(file.get(), buffer)));
  };
}

// A module as the kernel loads it, whether it came compressed or not.
Result<std::string> plain_module(std::string_view path, std::string content) {
  if (path.ends_with(".ko")) return content;
  bool given = false;
  auto archive = TRY(Archive::open(Archive::Form::Raw, [&]() -> Result<std::string_view> {
    return std::exchange(given, true) ? std::string_view() : std::string_view(content);
  }));
  Archive::Entry entry;
  if (!TRY(archive.next(entry))) return fail(Code::DataLoss, fmt::format("{} is empty", path));
  return archive.read_all(kMaxModuleBytes);
}

// Calls `visit(path, read)` for each file of the package's content.
using Visit =
    std::function<Result<void>(const std::string& path, const std::function<Result<std::string>()>&)>;
Result<void> for_each_file(const std::string& package, const Visit& visit) {
  const sys::Fd file = TRY(sys::open(package, O_RDONLY));
  std::vector<char> buffer(std::size_t{256} << 10);
  auto outer = TRY(Archive::open(Archive::Form::Ar, bytes_of(file, buffer)));
  Archive::Entry entry;
  while (TRY(outer.next(entry))) {
    if (!entry.path.starts_with("data.tar")) continue;
    auto inner = TRY(Archive::open(Archive::Form::Tar, [&] { return outer.read(); }));
    while (TRY(inner.next(entry))) {
      if (!entry.is_file) continue;
      const std::string path = entry.path;
      TRY_DURING(path, visit(path, [&] { return inner.read_all(kMaxImageBytes); }));
    }
    return {};
  }
  return fail(Code::InvalidArgument, "no package of Debian's: it has no data.tar");
}

// The same for a directory.
Result<void> for_each_file_below(const std::string& directory, const Visit& visit) {
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, error)) {
    if (!entry.is_regular_file(error) || entry.is_symlink(error)) continue;
    const std::string path = entry.path();
    TRY_DURING(path, visit(path, [&] { return sys::read_file(path, kMaxModuleBytes); }));
  }
  if (error) return fail_errno(fmt::format("cannot list {}", directory), error.value());
  return {};
}

// Takes in what one file says of the kernel's modules.
Result<void> learn(ModuleCatalogue& catalogue, const std::string& path,
                   const std::function<Result<std::string>()>& read) {
  if (file_name(path) == "modules.builtin") {
    for (const std::string& line : split(TRY(read()), '\n')) catalogue.built_in.insert(module_name(line));
  } else if (is_module(path)) {
    if (catalogue.modules.size() >= kMaxModules) return fail(Code::ResourceExhausted, "too many modules");
    const std::string name = module_name(path);
    catalogue.modules[name] = TRY(read_module_info(TRY(plain_module(path, TRY(read())))));
  }
  return {};
}

// Reads the modules that are needed by `walk`, which visits all files each time it is called.
Result<void> take_modules(UnpackedKernel& kernel, const std::function<Result<void>(const Visit&)>& walk) {
  ModuleCatalogue catalogue;
  TRY(walk([&](const std::string& path, const auto& read) { return learn(catalogue, path, read); }));
  kernel.modules = TRY(guest_modules(catalogue));
  const std::set<std::string> wanted(kernel.modules.begin(), kernel.modules.end());
  std::map<std::string, std::string> contents;
  TRY(walk([&](const std::string& path, const auto& read) -> Result<void> {
    if (is_module(path) && wanted.contains(module_name(path)))
      contents[module_name(path)] = TRY(plain_module(path, TRY(read())));
    return {};
  }));
  kernel.modules_archive =
      pack_modules(kernel.modules, [&](const std::string& name) { return std::string_view(contents[name]); });
  return {};
}

}  // namespace

bool is_package(std::string_view first_bytes) { return first_bytes.starts_with(kArMagic); }

Result<UnpackedKernel> read_package(const std::string& path) {
  UnpackedKernel kernel;
  std::string image;
  TRY(take_modules(kernel, [&](const Visit& visit) {
    return for_each_file(path, [&](const std::string& inner, const auto& read) -> Result<void> {
      if (!file_name(inner).starts_with("vmlinuz-")) return visit(inner, read);
      if (image.empty()) image = TRY(read());
      return {};
    });
  }));
  if (image.empty()) return fail(Code::InvalidArgument, "the package holds no kernel (boot/vmlinuz-*)");
  kernel.image = TRY(read_kernel_image(std::move(image)));
  return kernel;
}

Result<UnpackedKernel> read_image_with_modules(const std::string& path, const std::string& modules) {
  UnpackedKernel kernel;
  kernel.image = TRY(read_kernel_image(TRY(sys::read_file(path, kMaxImageBytes))));
  if (modules.empty()) {
    kernel.modules_archive = pack_modules({}, {});
    return kernel;
  }
  TRY(take_modules(kernel, [&](const Visit& visit) { return for_each_file_below(modules, visit); }));
  return kernel;
}

}  // namespace berth::kernel
