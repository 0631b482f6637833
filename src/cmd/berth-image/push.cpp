// push: from the store to a registry.
#include "image/registry/push.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "cmd/berth-image/declare.hpp"
#include "cmd/berth-image/registry_options.hpp"

namespace berth::cmd {
namespace {

struct Options {
  std::string name;
  std::string destination;
  image::registry::PushOptions push;
  std::string digest_file;
  bool quiet = false;
};

// Where an image goes when no destination is given: to its own name.
Result<image::Reference> destination_of(const image::ImageRecord& record, const Options& options) {
  if (!options.destination.empty()) return parse_remote_name(options.destination);
  if (record.name.empty()) {
    return fail(Code::InvalidArgument,
                fmt::format("image {} has no name: say where it should go, push {} REGISTRY/NAME:TAG",
                            options.name, options.name));
  }
  return image::Reference::parse(record.name);
}

Result<int> push(const Context& context, const Options& options) {
  image::Store store = TRY(context.open_store());
  const image::ImageRecord record = TRY(store.get_image(options.name));
  const image::Reference destination = TRY(destination_of(record, options));
  image::Digest digest;
  {
    const auto progress = context.progress(options.quiet);
    BlobProgress blobs(*progress, "pushing");
    digest = TRY(image::registry::push(store, record, destination, options.push, blobs));
  }
  if (!options.digest_file.empty()) TRY(sys::replace_file(options.digest_file, digest.text()));
  TRY(print(digest.text() + "\n"));
  return 0;
}

}  // namespace

Action declare_push(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_access_options(app, options->push.access);
  add_credentials_option(app, options->push.access);
  app.add_option("--parallel", options->push.parallel, "Blobs at a time (default: 4)")
      ->check(CLI::Range(1, 32));
  app.add_option("--retry", options->push.backoff.attempts, "Attempts without progress (default: 6)")
      ->check(CLI::Range(1, 100));
  app.add_option("--digestfile", options->digest_file, "Write the manifest's digest to this file")
      ->type_name("FILE");
  app.add_flag("-q,--quiet", options->quiet, "Print the manifest's digest alone");
  app.add_option("IMAGE", options->name, "Name or id")->required();
  app.add_option("DESTINATION", options->destination, "Where to (default: the image's own name)");
  return [options](const Context& context) { return push(context, *options); };
}

}  // namespace berth::cmd
