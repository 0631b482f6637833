// import: a root directory's tar becomes an image.
#include "image/archive/import.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cmd/berth-image/declare.hpp"
#include "image/archive/change.hpp"

namespace berth::cmd {
namespace {

struct ImportCommand {
  std::string input;
  std::string name;
  std::string message;
  std::vector<std::string> changes;
  bool quiet = false;
};

Result<int> import(const Context& context, const ImportCommand& command) {
  image::ImportOptions options;
  options.message = command.message;
  for (const std::string& change : command.changes) TRY(image::apply_change(options.config, change));
  if (!command.name.empty()) options.name = TRY(image::Reference::parse(command.name));
  const bool from_stdin = command.input == "-";
  if (from_stdin && ::isatty(STDIN_FILENO) == 1) {
    return fail(Code::InvalidArgument, "cannot read an archive from a terminal: give a file, or redirect");
  }
  const sys::Fd fd = from_stdin ? TRY(sys::duplicate(STDIN_FILENO)) : TRY(sys::open(command.input, O_RDONLY));
  image::Store store = TRY(context.open_store());
  image::ImageRecord record;
  {
    const auto progress = context.progress(command.quiet);
    record = TRY_DURING(fmt::format("cannot import {}", command.input),
                        image::import_root(store, fd.get(), command.input, std::move(options), *progress));
  }
  TRY(print(record.config.text() + "\n"));
  return 0;
}

}  // namespace

Action declare_import(CLI::App& app) {
  auto command = std::make_shared<ImportCommand>();
  app.add_option("-c,--change", command->changes,
                 "As in a Dockerfile: 'CMD [\"sh\"]', 'ENV A=b', ... (repeatable)")
      ->type_name("CHANGE")
      ->allow_extra_args(false);
  app.add_option("-m,--message", command->message, "A comment for the image's history")->type_name("TEXT");
  app.add_flag("-q,--quiet", command->quiet, "No progress");
  app.add_option("FILE", command->input, "A tar of a root directory; - for standard input")->required();
  app.add_option("NAME", command->name, "The image's name");
  return [command](const Context& context) { return import(context, *command); };
}

}  // namespace berth::cmd
