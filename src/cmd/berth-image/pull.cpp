// pull: from a registry into the store.
#include "image/registry/pull.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "cmd/berth-image/declare.hpp"
#include "cmd/berth-image/registry_options.hpp"
#include "image/unpack/unpacker.hpp"

namespace berth::cmd {
namespace {

struct Options {
  std::vector<std::string> names;
  image::registry::PullOptions pull;
  std::string platform;
  bool quiet = false;
};

// Unpacks each layer as soon as it is here, while others are still on their way.
class UnpackOnArrival : public image::registry::ImageReceiver {
 public:
  UnpackOnArrival(image::Store& store, term::Progress& progress) : store_(store), progress_(progress) {}

  Result<void> begin(const image::Manifest& manifest, const image::ImageConfig& config) override {
    auto layers = image::Unpacker::layers_of(manifest, config);
    unpacker_ = TRY(image::Unpacker::start(store_, std::move(layers), progress_));
    return {};
  }
  Result<void> has_layer(std::size_t index) override { return unpacker_->fetched(index); }
  Result<void> complete() override { return unpacker_->finish(); }
  void give_up() override { unpacker_.reset(); }

 private:
  image::Store& store_;
  term::Progress& progress_;
  std::unique_ptr<image::Unpacker> unpacker_;
};

Result<void> pull_one(const Context& context, image::Store& store, const std::string& name, Options options) {
  const image::Reference reference = TRY(parse_remote_name(name));
  image::ImageRecord record;
  {
    const auto progress = context.progress(options.quiet);
    BlobProgress blobs(*progress, "pulling");
    UnpackOnArrival unpacking(store, *progress);
    options.pull.receiver = &unpacking;
    record = TRY(image::registry::pull(store, reference, options.pull, blobs));
  }
  return print(record.config.text() + "\n");
}

Result<int> pull(const Context& context, Options options) {
  if (!options.platform.empty()) {
    options.pull.platform = TRY_DURING("--platform", image::Platform::parse(options.platform));
    options.pull.platform_required = true;
  }
  image::Store store = TRY(context.open_store());
  for (const std::string& name : options.names) TRY(pull_one(context, store, name, options));
  return 0;
}

}  // namespace

Action declare_pull(CLI::App& app) {
  auto options = std::make_shared<Options>();
  add_access_options(app, options->pull.access);
  add_credentials_option(app, options->pull.access);
  app.add_option("--platform", options->platform, "Which image of several (default: this machine's)")
      ->type_name("OS/ARCH[/VARIANT]");
  app.add_option("--parallel", options->pull.parallel, "Blobs at a time (default: 4)")
      ->check(CLI::Range(1, 32));
  app.add_option("--retry", options->pull.backoff.attempts, "Attempts without progress (default: 6)")
      ->check(CLI::Range(1, 100));
  app.add_flag("-q,--quiet", options->quiet, "Print the image's id alone");
  app.add_option("IMAGE", options->names, "Names, with a tag or a digest")->required();
  return [options](const Context& context) { return pull(context, *options); };
}

}  // namespace berth::cmd
