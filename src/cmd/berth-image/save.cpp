// save and export: images leave the store.
#include "image/archive/save.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>

#include "base/text.hpp"
#include "cmd/berth-image/declare.hpp"

namespace berth::cmd {
namespace {

using image::ImageRecord;
using image::Reference;
using image::Store;

// Runs `write` on standard output, or on a file that gets its name once it is whole.
Result<void> write_output(const std::string& path, const std::function<Result<void>(int)>& write) {
  if (path.empty() || path == "-") {
    if (::isatty(STDOUT_FILENO) == 1) {
      return fail(Code::InvalidArgument,
                  "cannot write an archive to a terminal: use --output FILE, or redirect");
    }
    return write(STDOUT_FILENO);
  }
  const std::string partial = fmt::format("{}.{}.partial", path, random_hex(8));
  const sys::Fd fd = TRY(sys::open(partial, O_WRONLY | O_CREAT | O_EXCL, 0644));
  auto written = write(fd.get());
  if (written && ::rename(partial.c_str(), path.c_str()) != 0)
    written = fail_errno(fmt::format("cannot write {}", path));
  if (!written) ::unlink(partial.c_str());
  return written;
}

struct SaveCommand {
  std::string output;
  std::string format;
  std::vector<std::string> names;
  bool many = false;
  bool quiet = false;
};

// Images in the order asked for; several names of one image come together.
Result<std::vector<image::SavedImage>> gather(Store& store, const std::vector<std::string>& words) {
  std::vector<image::SavedImage> images;
  for (const std::string& word : words) {
    const ImageRecord record = TRY(store.get_image(word));
    auto saved = std::find_if(images.begin(), images.end(), [&](const image::SavedImage& one) {
      return one.image.manifest.digest == record.manifest.digest;
    });
    if (saved == images.end()) saved = images.insert(images.end(), {record, {}});
    if (!record.name.empty()) saved->names.push_back(TRY(Reference::parse(record.name)));
  }
  return images;
}

Result<int> save(const Context& context, const SaveCommand& command) {
  std::string wanted = command.format.empty() ? context.format : command.format;
  if (wanted.empty()) wanted = "docker-archive";
  const auto format = TRY(image::parse_archive_format(wanted));
  Store store = TRY(context.open_store());
  const auto images = TRY(gather(store, command.names));
  const auto progress = context.progress(command.quiet);
  if (format == image::ArchiveFormat::OciDirectory) {
    if (command.output.empty())
      return fail(Code::InvalidArgument, "--format oci-dir needs --output DIRECTORY");
    TRY(image::save_directory(store, images, command.output, *progress));
  } else {
    TRY(write_output(command.output,
                     [&](int out) { return image::save_archive(store, images, format, out, *progress); }));
  }
  return 0;
}

struct ExportCommand {
  std::string output;
  std::string name;
};

Result<int> export_image(const Context& context, const ExportCommand& command) {
  Store store = TRY(context.open_store());
  const ImageRecord record = TRY(store.get_image(command.name));
  TRY_DURING(fmt::format("cannot export {}", command.name),
             write_output(command.output, [&](int out) { return image::export_root(store, record, out); }));
  return 0;
}

}  // namespace

Action declare_save(CLI::App& app) {
  auto command = std::make_shared<SaveCommand>();
  app.add_option("-o,--output", command->output,
                 "A file, or a directory for oci-dir (default: standard output)")
      ->type_name("PATH");
  app.add_option("--format", command->format, "docker-archive (the default), oci-archive or oci-dir");
  app.add_flag("-m,--multi-image-archive", command->many,
               "Accepted for Podman's habit: several images are always fine");
  app.add_flag("-q,--quiet", command->quiet, "No progress");
  app.add_option("IMAGE", command->names, "Names or ids")->required();
  return [command](const Context& context) { return save(context, *command); };
}

Action declare_export(CLI::App& app) {
  auto command = std::make_shared<ExportCommand>();
  app.add_option("-o,--output", command->output, "A file (default: standard output)")->type_name("FILE");
  app.add_option("IMAGE", command->name, "Name or id")->required();
  return [command](const Context& context) { return export_image(context, *command); };
}

}  // namespace berth::cmd
