#include "image/unpack/unpack.hpp"

#include <fmt/core.h>

#include "image/layer/layer.hpp"
#include "sys/user_map.hpp"

namespace berth::image {
namespace {

struct Job {
  LayerRecord layer;
  Descriptor blob;
  std::size_t task = 0;
};

// Layers go bottom up, since an archive may hold hard links into its parents and directories that only they
// describe; within one layer, reading and writing run on two threads.
class Unpacking {
 public:
  Unpacking(Store& store, const Lease& lease, term::Progress& progress)
      : store_(&store), lease_(&lease), progress_(&progress) {
    options_.keep_owner = sys::has_many_users();
    options_.user_xattrs = sys::in_user_namespace();
  }

  Result<void> run(const Job& job) {
    if (TRY(store_->find_layer(job.layer.chain_id))) return skip(job);
    const sys::Fd only_one = TRY(store_->lock_layer(job.layer.chain_id));
    if (TRY(store_->find_layer(job.layer.chain_id))) return skip(job);
    auto unpacked = unpack(job);
    if (!unpacked) {
      Error error =
          std::move(unpacked).error().during(fmt::format("cannot unpack layer {}", job.blob.digest.text()));
      if (error.sys_errno == ENOSPC || error.sys_errno == EDQUOT) {
        error.message +=
            fmt::format("; free some space below {}, for example with: berth image prune", store_->root());
      }
      return fail(std::move(error));
    }
    finish(job, "unpacked");
    return {};
  }

 private:
  Result<void> skip(const Job& job) {
    finish(job, "already here");
    return {};
  }

  void finish(const Job& job, std::string_view outcome) {
    progress_->finish(job.task, outcome);
    options_.parents.insert(options_.parents.begin(), store_->layer_dir(job.layer.chain_id));
  }

  Result<void> unpack(const Job& job) {
    const sys::Fd blob = TRY(store_->open_blob(job.blob.digest));
    const std::string target = TRY(store_->make_work_dir(*lease_));
    options_.progress = [this, &job](std::uint64_t bytes) { progress_->set(job.task, bytes); };
    const UnpackedLayer unpacked = TRY(unpack_layer(blob.get(), target, options_));
    if (unpacked.diff_id != job.layer.diff_id) {
      return fail(Code::DataLoss,
                  fmt::format("its content has the digest {}, but the image's configuration says {}",
                              unpacked.diff_id.text(), job.layer.diff_id.text()));
    }
    return store_->adopt_layer(target, {job.layer.chain_id, job.layer.diff_id, unpacked.size_bytes});
  }

  Store* store_;
  const Lease* lease_;
  term::Progress* progress_;
  UnpackOptions options_;
};

}  // namespace

Result<void> ensure_unpacked(Store& store, const ImageRecord& image, term::Progress& progress) {
  const auto layers = TRY(store.layers_of(image));
  const Manifest manifest = TRY(store.manifest_of(image));
  if (layers.size() != manifest.layers.size()) {
    return fail(Code::NotFound, fmt::format("image {} has just been removed", image.config.short_id()));
  }
  const Lease lease = TRY(store.lease());
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Descriptor& blob = manifest.layers[i];
    jobs.push_back({layers[i], blob, progress.add(blob.digest.short_id(), "unpacking", blob.size)});
  }
  Unpacking unpacking(store, lease, progress);
  for (const Job& job : jobs) TRY(unpacking.run(job));
  return {};
}

Result<ImageRecord> store_unpacked(Store& store, const std::optional<Reference>& name,
                                   const Descriptor& manifest, term::Progress& progress) {
  const bool known = TRY(store.find_image(manifest.digest.text())).has_value();
  const ImageRecord record = TRY(store.add_image(std::nullopt, manifest));
  auto unpacked = ensure_unpacked(store, record, progress);
  if (!unpacked) {
    if (!known) static_cast<void>(store.remove_image(manifest.digest));
    return fail(std::move(unpacked).error());
  }
  return name ? store.add_image(name, manifest) : Result<ImageRecord>(record);
}

}  // namespace berth::image
