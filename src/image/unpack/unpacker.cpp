#include "image/unpack/unpacker.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "sys/user_map.hpp"

namespace berth::image {
namespace {

constexpr unsigned kMostAtOnce = 8;
// What one layer may take: the decoder's window, 128 MiB for a zstd blob that asks for it, and the buffers.
constexpr std::uint64_t kMostBytesALayer = std::uint64_t{144} << 20;
constexpr std::uint64_t kShareOfMemory = 8;

// Even on one processor two layers: one of them may be waiting, for its blob or for the disk.
unsigned suitable_count() {
  const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
  const auto page_bytes = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_PAGESIZE)));
  const std::uint64_t fitting = pages * page_bytes / kShareOfMemory / kMostBytesALayer;
  const unsigned processors = std::clamp(std::thread::hardware_concurrency(), 2U, kMostAtOnce);
  return static_cast<unsigned>(std::clamp<std::uint64_t>(fitting, 1, processors));
}

}  // namespace

std::vector<Unpacker::Layer> Unpacker::layers_of(const Manifest& manifest, const ImageConfig& config) {
  BERTH_ASSERT(manifest.layers.size() == config.diff_ids.size());
  const auto chain = chain_ids(config.diff_ids);
  std::vector<Layer> layers;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    layers.push_back({{chain[i], config.diff_ids[i]}, manifest.layers[i]});
  }
  return layers;
}

Unpacker::Unpacker(std::string store_root, Lease lease, std::vector<Layer> layers, term::Progress& progress)
    : store_root_(std::move(store_root)),
      lease_(std::move(lease)),
      layers_(std::move(layers)),
      progress_(progress),
      stages_(layers_.size()) {
  options_.keep_owner = sys::has_many_users();
  options_.user_xattrs = sys::in_user_namespace();
  options_.stop = stages_.stop_token();
}

Unpacker::~Unpacker() { stages_.stop(); }

Result<std::unique_ptr<Unpacker>> Unpacker::start(Store& store, std::vector<Layer> layers,
                                                  term::Progress& progress, unsigned at_once) {
  std::unique_ptr<Unpacker> unpacker(
      new Unpacker(store.root(), TRY(store.lease()), std::move(layers), progress));
  const std::size_t missing = TRY(unpacker->skip_those_here(store));
  if (at_once == 0) at_once = suitable_count();
  TRY(unpacker->start_threads(std::min<std::size_t>(at_once, missing)));
  return unpacker;
}

// Gives the number of the others.
Result<std::size_t> Unpacker::skip_those_here(Store& store) {
  std::size_t missing = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Digest& chain_id = layers_[i].record.chain_id;
    if (!TRY(store.find_layer(chain_id))) {
      ++missing;
      continue;
    }
    stages_.set_unpacked(i, store.layer_dir(chain_id));
    progress_.finish(progress_.add(layers_[i].blob.digest.short_id(), "unpacking", 0), "already here");
  }
  return missing;
}

Result<void> Unpacker::start_threads(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      if (i > 0) return {};  // fewer do as well
      return fail(Code::ResourceExhausted,
                  fmt::format("cannot start a thread to unpack layers: {}", error.what()));
    }
  }
  return {};
}

// A thread's share. The store is used by one thread at a time, so each opens its own.
void Unpacker::work() {
  auto store = Store::open(store_root_);
  while (const auto index = stages_.next()) {
    auto unpacked = store ? unpack_one(*store, *index) : Result<void>(fail(store.error()));
    if (!unpacked) return stages_.fail(*index, std::move(unpacked).error());
    stages_.set_unpacked(*index, store->layer_dir(layers_[*index].record.chain_id));
  }
}

Result<void> Unpacker::unpack_one(Store& store, std::size_t index) {
  TRY(stages_.await_fetched(index));
  const Layer& layer = layers_[index];
  const std::size_t task = progress_.add(layer.blob.digest.short_id(), "unpacking", layer.blob.size);
  const sys::Fd only_one = TRY(store.lock_layer(layer.record.chain_id));
  const bool here = TRY(store.find_layer(layer.record.chain_id)).has_value();  // another process was quicker
  if (!here) {
    auto unpacked = unpack_new(store, index, task);
    if (!unpacked) return fail(explain(std::move(unpacked).error(), index));
  }
  progress_.finish(task, here ? "already here" : "unpacked");
  return {};
}

Result<void> Unpacker::unpack_new(Store& store, std::size_t index, std::size_t task) {
  const Layer& layer = layers_[index];
  const sys::Fd blob = TRY(store.open_blob(layer.blob.digest));
  const std::string target = TRY(store.make_work_dir(lease_));
  UnpackOptions options = options_;
  options.parents = parents_of(index);
  options.progress = [this, task](std::uint64_t bytes) { progress_.set(task, bytes); };
  const UnpackedLayer unpacked = TRY(unpack_layer(blob.get(), target, options));
  if (unpacked.diff_id != layer.record.diff_id) {
    return fail(Code::DataLoss,
                fmt::format("its content has the digest {}, but the image's configuration says {}",
                            unpacked.diff_id.text(), layer.record.diff_id.text()));
  }
  return store.adopt_layer(target, {layer.record.chain_id, layer.record.diff_id, unpacked.size_bytes});
}

// Only layers that are whole and verified are looked into: what a layer takes from them depends on its chain
// id alone.
ParentLayers Unpacker::parents_of(std::size_t index) {
  return {index, [this, index](std::size_t depth) { return stages_.await_unpacked(index - 1 - depth); }};
}

Error Unpacker::explain(Error error, std::size_t index) const {
  error = std::move(error).during(fmt::format("cannot unpack layer {}", layers_[index].blob.digest.text()));
  if (error.sys_errno == ENOSPC || error.sys_errno == EDQUOT) {
    error.message +=
        fmt::format("; free some space below {}, for example with: berth image prune", store_root_);
  }
  return error;
}

Result<void> Unpacker::fetched(std::size_t index) {
  stages_.set_fetched(index);
  return stages_.result();
}

Result<void> Unpacker::finish() {
  threads_.clear();
  return stages_.result();
}

}  // namespace berth::image
