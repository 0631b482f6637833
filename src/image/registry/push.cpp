#include "image/registry/push.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "image/registry/upload.hpp"

namespace berth::image::registry {
namespace {

class Push {
 public:
  Push(Store& store, const ImageRecord& image, const Reference& destination, const PushOptions& options,
       TransferObserver& observer)
      : store_(store), image_(image), destination_(destination), options_(options), observer_(observer) {}

  Result<Digest> run();

 private:
  Result<std::vector<std::string>> sister_repositories();
  Result<void> send_blobs(const std::vector<Descriptor>& blobs);
  Result<void> work(const std::vector<Descriptor>& blobs, const std::vector<std::string>& sisters,
                    WorkQueue& queue);
  Result<Digest> send_manifest();

  Store& store_;
  const ImageRecord& image_;
  const Reference& destination_;
  const PushOptions& options_;
  SharedObserver observer_;
  std::shared_ptr<Session> session_;
};

Result<Digest> Push::run() {
  session_ = TRY(Session::open(destination_.registry, destination_.repository, options_.access));
  session_->backoff = options_.backoff;
  session_->on_retry = [this](const std::string& message) { observer_.note(message); };
  const Lease lease = TRY(store_.lease());
  const Manifest manifest = TRY(store_.manifest_of(image_));
  std::vector<Descriptor> blobs;
  std::set<Digest> seen;
  for (const Descriptor& layer : manifest.layers) {
    if (seen.insert(layer.digest).second) blobs.push_back(layer);
  }
  if (seen.insert(manifest.config.digest).second) blobs.push_back(manifest.config);
  TRY(send_blobs(blobs));
  return send_manifest();
}

// Other repositories of the registry from or to which we have this very image: its blobs can be mounted from
// there.
Result<std::vector<std::string>> Push::sister_repositories() {
  std::set<std::string> found;
  for (const ImageRecord& other : TRY(store_.list_images())) {
    if (other.name.empty() || other.config != image_.config) continue;
    const auto name = Reference::parse(other.name);
    if (!name || name->registry != destination_.registry || name->repository == destination_.repository)
      continue;
    found.insert(name->repository);
  }
  return std::vector<std::string>(found.begin(), found.end());
}

Result<void> Push::send_blobs(const std::vector<Descriptor>& blobs) {
  const std::vector<std::string> sisters = TRY(sister_repositories());
  WorkQueue queue(blobs.size());
  const std::size_t threads = std::clamp<std::size_t>(options_.parallel, 1, blobs.size());
  return run_workers(
      threads, queue, [&](WorkQueue& work_queue) { return work(blobs, sisters, work_queue); },
      [this] { session_->cancel(); });
}

Result<void> Push::work(const std::vector<Descriptor>& blobs, const std::vector<std::string>& sisters,
                        WorkQueue& queue) {
  Store store = TRY(Store::open(store_.root()));
  Client client(session_);
  while (const auto turn = queue.next()) {
    TRY(upload_blob(client, destination_.repository, store, blobs[*turn], sisters, observer_));
  }
  return {};
}

Result<Digest> Push::send_manifest() {
  Client client(session_);
  const std::string name = destination_.tag.empty() ? image_.manifest.digest.text() : destination_.tag;
  Request put;
  put.method = "PUT";
  put.url = TRY(client.api(fmt::format("{}/manifests/{}", destination_.repository, name)));
  put.headers.add("Content-Type", image_.manifest.media_type);
  put.body = RequestBody::of(TRY(store_.read_blob(image_.manifest.digest)));
  put.stall_timeout = std::chrono::seconds(300);
  const Scopes scopes{fmt::format("repository:{}:pull,push", destination_.repository)};
  const Response response = TRY_DURING("manifest", client.exchange(put, scopes));
  if (response.status != 201 && response.status != 200 && response.status != 202) {
    return client.refusal(response, "manifest");
  }
  const auto claim = response.headers.find("Docker-Content-Digest");
  if (claim && *claim != image_.manifest.digest.text()) {
    return fail(Code::DataLoss,
                fmt::format("the registry stored another manifest than {}", image_.manifest.digest.text()));
  }
  return image_.manifest.digest;
}

}  // namespace

Result<Digest> push(Store& store, const ImageRecord& image, const Reference& destination,
                    const PushOptions& options, TransferObserver& observer) {
  return TRY_DURING("cannot push to " + destination.text(),
                    Push(store, image, destination, options, observer).run());
}

}  // namespace berth::image::registry
