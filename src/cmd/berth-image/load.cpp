// load and unpack: images become ready to run.
#include "image/archive/load.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cmd/berth-image/declare.hpp"
#include "image/unpack/unpack.hpp"

namespace berth::cmd {
namespace {

using image::ImageRecord;

struct LoadCommand {
  std::string input;
  std::string platform;
  std::string name;
  bool quiet = false;
};

Result<int> load(const Context& context, const LoadCommand& command) {
  image::LoadOptions options;
  options.name = command.name;
  if (!options.name.empty()) TRY_DURING("--name", image::Reference::parse(options.name));
  if (!command.platform.empty()) options.platform = TRY(image::Platform::parse(command.platform));
  if (command.input.empty() && ::isatty(STDIN_FILENO) == 1) {
    return fail(Code::InvalidArgument,
                "cannot read an archive from a terminal: use --input FILE, or redirect");
  }
  image::Store store = TRY(context.open_store());
  std::vector<ImageRecord> images;
  {
    const auto progress = context.progress(command.quiet);
    images = TRY(image::load_images(store, command.input == "-" ? "" : command.input, options, *progress));
  }
  for (const ImageRecord& image : images) {
    TRY(print(image.name.empty() ? fmt::format("Loaded image ID: {}\n", image.config.text())
                                 : fmt::format("Loaded image: {}\n", image.name)));
  }
  return 0;
}

struct UnpackCommand {
  std::vector<std::string> names;
  bool quiet = false;
};

Result<int> unpack(const Context& context, const UnpackCommand& command) {
  image::Store store = TRY(context.open_store());
  const auto progress = context.progress(command.quiet);
  for (const std::string& name : command.names) {
    TRY(image::ensure_unpacked(store, TRY(store.get_image(name)), *progress));
  }
  return 0;
}

}  // namespace

Action declare_load(CLI::App& app) {
  auto command = std::make_shared<LoadCommand>();
  app.add_option("-i,--input", command->input, "An archive or a directory (default: standard input)")
      ->type_name("PATH");
  app.add_option("--platform", command->platform, "Which image of several (default: this machine's)")
      ->type_name("OS/ARCH[/VARIANT]");
  app.add_option("--name", command->name, "A name for an image to which the archive gives none")
      ->type_name("NAME");
  app.add_flag("-q,--quiet", command->quiet, "No progress");
  return [command](const Context& context) { return load(context, *command); };
}

Action declare_unpack(CLI::App& app) {
  auto command = std::make_shared<UnpackCommand>();
  app.add_flag("-q,--quiet", command->quiet, "No progress");
  app.add_option("IMAGE", command->names, "Names or ids")->required();
  return [command](const Context& context) { return unpack(context, *command); };
}

}  // namespace berth::cmd
