// kernel add, ls, default and rm: what virtual machines boot.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <filesystem>

#include "base/text.hpp"
#include "cmd/berth-image/declare.hpp"
#include "kernel/store/store.hpp"
#include "kernel/unpack/package.hpp"
#include "sys/command.hpp"
#include "term/listing.hpp"

namespace berth::cmd {
namespace {

using kernel::KernelRecord;
using kernel::KernelStore;

constexpr const char* kDebianPackage = "linux-image-cloud-amd64";

struct KernelCommand {
  std::string file;
  std::string modules;
  std::string name;
  bool debian = false;
  bool quiet = false;
};

// The package that Debian's cloud kernel is at present: what the metapackage depends on.
Result<std::string> debian_package() {
  const auto listed = TRY_DURING("--debian", sys::run_command({"apt-cache", "depends", kDebianPackage}, {}));
  for (const std::string& line : split(listed.text, '\n')) {
    const auto at = line.find("linux-image-");
    if (line.find("Depends:") != std::string::npos && at != std::string::npos)
      return std::string(trim(std::string_view(line).substr(at)));
  }
  return fail(Code::NotFound,
              fmt::format("--debian: apt knows no {}: run apt-get update, or give a file", kDebianPackage));
}

// apt checks the archive's signature on what it downloads into the working directory; gives the file's path.
Result<std::string> download(const std::string& directory) {
  const std::string package = TRY(debian_package());
  if (::chdir(directory.c_str()) != 0) return fail_errno(fmt::format("cannot change to {}", directory));
  const auto done =
      TRY_DURING("--debian", sys::run_command({"apt-get", "download", "-qq", package},
                                              {.text = "", .timeout = std::chrono::minutes(10)}));
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (done.exit_code == 0 && entry.path().extension() == ".deb") return entry.path().string();
  return fail(Code::Unavailable, fmt::format("--debian: apt-get could not download {}", package));
}

Result<kernel::UnpackedKernel> unpack(const std::string& path, const std::string& modules) {
  std::array<char, 8> first{};
  const sys::Fd file = TRY(sys::open(path, O_RDONLY));
  const std::size_t count = TRY(sys::read_some(file.get(), first));
  if (!kernel::is_package({first.data(), count})) return kernel::read_image_with_modules(path, modules);
  if (!modules.empty()) return fail(Code::InvalidArgument, "--modules: the package holds its own");
  return kernel::read_package(path);
}

Result<int> add(const Context& context, const KernelCommand& command) {
  if (command.debian == !command.file.empty())
    return fail(Code::InvalidArgument, "kernel add: give either a FILE or --debian");
  const KernelStore kernels(context.root);
  const auto shop = TRY(kernels.workshop());
  const std::string path = command.debian ? TRY(download(shop.path)) : command.file;
  const auto unpacked =
      TRY_DURING(fmt::format("cannot take a kernel from {}", path), unpack(path, command.modules));
  const KernelRecord record{.name = command.name.empty() ? unpacked.image.release : command.name,
                            .source = path.substr(path.rfind('/') + 1),
                            .modules = unpacked.modules};
  if (record.name.empty())
    return fail(Code::InvalidArgument, "the file does not say the kernel's release: name it with --name");
  const auto added = TRY(kernels.add(shop, record, {unpacked.image.vmlinux, unpacked.modules_archive}));
  TRY(print(added.name + "\n"));
  return 0;
}

Result<int> ls(const Context& context, const KernelCommand& command) {
  term::Listing listing({{"Name", "KERNEL"},
                         {"Default", "DEFAULT"},
                         {"Size", "SIZE"},
                         {"Modules", "MODULES"},
                         {"Source", "SOURCE"}});
  std::string names;
  for (const KernelRecord& record : TRY(KernelStore(context.root).list())) {
    names += record.name + "\n";
    listing.add({record.name, term::Cell(Json(record.is_default), record.is_default ? "yes" : ""),
                 term::Cell(Json(record.size_bytes), format_size(record.size_bytes)),
                 term::Cell(Json(record.modules), std::to_string(record.modules.size())), record.source});
  }
  TRY(print(command.quiet ? names : TRY(listing.render(context.format))));
  return 0;
}

Result<int> set_default(const Context& context, const KernelCommand& command) {
  const KernelStore kernels(context.root);
  if (!command.name.empty()) TRY(kernels.set_default(command.name));
  TRY(print(TRY(kernels.find("")).name + "\n"));
  return 0;
}

Result<int> remove(const Context& context, const KernelCommand& command) {
  TRY(KernelStore(context.root).remove(command.name));
  TRY(print(command.name + "\n"));
  return 0;
}

}  // namespace

Action declare_kernel(CLI::App& app) {
  auto command = std::make_shared<KernelCommand>();
  app.require_subcommand(1);
  CLI::App* adding = app.add_subcommand("add", "Take a kernel from a file or from Debian");
  adding->add_option("FILE", command->file, "A package of Debian's (.deb), a bzImage or a vmlinux");
  adding->add_flag("--debian", command->debian, "Download Debian's linux-image-cloud-amd64 with apt");
  adding->add_option("--modules", command->modules, "Its modules, such as /lib/modules/6.1.0-56-amd64")
      ->type_name("DIR");
  adding->add_option("--name", command->name, "Its name here; its release where not given")
      ->type_name("NAME");
  CLI::App* listing = app.add_subcommand("ls", "List kernels");
  listing->add_flag("-q,--quiet", command->quiet, "Names only");
  CLI::App* choosing = app.add_subcommand("default", "Show or set the kernel that machines boot");
  choosing->add_option("NAME", command->name, "The new default");
  CLI::App* removing = app.add_subcommand("rm", "Remove a kernel");
  removing->add_option("NAME", command->name, "The kernel")->required();
  return [=](const Context& context) -> Result<int> {
    if (adding->parsed()) return add(context, *command);
    if (listing->parsed()) return ls(context, *command);
    if (choosing->parsed()) return set_default(context, *command);
    return remove(context, *command);
  };
}

}  // namespace berth::cmd
