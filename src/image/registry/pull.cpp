#include "image/registry/pull.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <set>

#include "image/registry/download.hpp"
#include "image/registry/manifest_fetch.hpp"
#include "image/registry/printable.hpp"

namespace berth::image::registry {
namespace {

Result<void> check_layer(const Descriptor& layer, std::size_t index) {
  const std::string which = fmt::format("manifest.layers[{}]", index);
  const bool elsewhere = layer.media_type.find("foreign") != std::string::npos ||
                         layer.media_type.find("nondistributable") != std::string::npos;
  if (elsewhere || !layer.urls.empty()) {
    return fail(
        Code::Unimplemented,
        fmt::format("{}: is to be had elsewhere only (foreign layer), which berth does not follow", which));
  }
  if (is_layer(layer.media_type)) return {};
  return fail(Code::InvalidArgument, fmt::format("{}.mediaType: \"{}\" is not a layer: not a container image",
                                                 which, printable(layer.media_type, 100)));
}

Result<Manifest> check_manifest(const FetchedManifest& fetched) {
  Manifest manifest = TRY(Manifest::parse(fetched.bytes));
  const std::string& type = manifest.config.media_type;
  if (type != media::kOciConfig && type != media::kDockerConfig) {
    return fail(
        Code::InvalidArgument,
        fmt::format("manifest.config.mediaType: \"{}\" is not an image configuration: not a container image",
                    printable(type, 100)));
  }
  if (manifest.config.size > kMaxManifestBytes) {
    return fail(Code::ResourceExhausted, fmt::format("manifest.config.size: {} bytes, at most {} are read",
                                                     manifest.config.size, kMaxManifestBytes));
  }
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) TRY(check_layer(manifest.layers[i], i));
  return manifest;
}

class Pull {
 public:
  Pull(Store& store, const Reference& image, const PullOptions& options, TransferObserver& observer)
      : store_(store), image_(image), options_(options), observer_(observer) {}

  Result<ImageRecord> run();

 private:
  Result<ImageRecord> take_in();
  Result<ImageConfig> fetch_config(Client& client, const Manifest& manifest);
  Result<void> fetch_layers(const Manifest& manifest);
  Result<void> work(const Manifest& manifest, const std::vector<std::size_t>& layers, WorkQueue& queue);
  Result<void> hand_over(const Manifest& manifest, const Digest& blob);

  Store& store_;
  const Reference& image_;
  const PullOptions& options_;
  SharedObserver observer_;
  std::shared_ptr<Session> session_;
  std::atomic<bool> refused_ = false;  // by the receiver
};

Result<ImageRecord> Pull::run() {
  Lease lease = TRY(store_.lease());
  auto image = take_in();
  if (image) return image;
  if (options_.receiver != nullptr) options_.receiver->give_up();
  const int number = image.error().sys_errno;
  if (refused_ || number == ENOSPC || number == EDQUOT) static_cast<void>(store_.abandon(std::move(lease)));
  return image;
}

Result<ImageRecord> Pull::take_in() {
  session_ = TRY(Session::open(image_.registry, image_.repository, options_.access));
  session_->backoff = options_.backoff;
  session_->on_retry = [this](const std::string& message) { observer_.note(message); };
  Client client(session_);
  const FetchedManifest fetched = TRY(fetch_image_manifest(client, image_, options_.platform));
  const Manifest manifest = TRY(check_manifest(fetched));
  const ImageConfig config = TRY(fetch_config(client, manifest));
  if (options_.receiver != nullptr) TRY(options_.receiver->begin(manifest, config));
  TRY(fetch_layers(manifest));
  if (options_.receiver != nullptr) {
    auto complete = options_.receiver->complete();
    refused_ = !complete;
    TRY(std::move(complete));
  }
  const Descriptor stored = TRY(store_.put_blob(fetched.bytes, fetched.descriptor.media_type));
  TRY(store_.set_image(image_, stored));
  return store_.get_image(image_.text());
}

Result<ImageConfig> Pull::fetch_config(Client& client, const Manifest& manifest) {
  TRY_DURING("configuration", download_blob(client, image_.repository, store_, manifest.config, observer_));
  ImageConfig config = TRY(ImageConfig::parse(TRY(store_.read_blob(manifest.config.digest))));
  if (config.diff_ids.size() != manifest.layers.size()) {
    return fail(Code::InvalidArgument, fmt::format("the manifest has {} layers, the configuration {}",
                                                   manifest.layers.size(), config.diff_ids.size()));
  }
  if (config.platform.matches(options_.platform)) return config;
  const std::string problem = fmt::format("the image is for {}, not {}",
                                          printable(config.platform.text(), 60), options_.platform.text());
  if (options_.platform_required) return fail(Code::NotFound, problem);
  observer_.note(problem);
  return config;
}

Result<void> Pull::fetch_layers(const Manifest& manifest) {
  std::vector<std::size_t> layers;  // one index for each digest: an image may hold a layer twice
  std::set<Digest> seen;
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    if (seen.insert(manifest.layers[i].digest).second) layers.push_back(i);
  }
  WorkQueue queue(layers.size());
  const std::size_t threads =
      std::clamp<std::size_t>(options_.parallel, 1, std::max<std::size_t>(1, layers.size()));
  return run_workers(
      threads, queue, [&](WorkQueue& work_queue) { return work(manifest, layers, work_queue); },
      [this] { session_->cancel(); });
}

// One thread's share. The store is used by one thread at a time, so each opens its own.
Result<void> Pull::work(const Manifest& manifest, const std::vector<std::size_t>& layers, WorkQueue& queue) {
  Store store = TRY(Store::open(store_.root()));
  Client client(session_);
  while (const auto turn = queue.next()) {
    const std::size_t index = layers[*turn];
    TRY_DURING(fmt::format("layer {} of {}", index + 1, manifest.layers.size()),
               download_blob(client, image_.repository, store, manifest.layers[index], observer_));
    TRY(hand_over(manifest, manifest.layers[index].digest));
  }
  return {};
}

Result<void> Pull::hand_over(const Manifest& manifest, const Digest& blob) {
  if (options_.receiver == nullptr) return {};
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    if (manifest.layers[i].digest != blob) continue;
    auto received = options_.receiver->has_layer(i);
    if (received) continue;
    refused_ = true;
    return received;
  }
  return {};
}

}  // namespace

Result<ImageRecord> pull(Store& store, const Reference& image, const PullOptions& options,
                         TransferObserver& observer) {
  return TRY_DURING("cannot pull " + image.text(), Pull(store, image, options, observer).run());
}

}  // namespace berth::image::registry
