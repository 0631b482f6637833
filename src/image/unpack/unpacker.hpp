// The layers of one image, unpacked at the same time, each as soon as its blob is in the store.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "image/layer/layer.hpp"
#include "image/store/store.hpp"
#include "image/unpack/layer_stages.hpp"
#include "term/progress.hpp"

namespace berth::image {

// Each layer is unpacked once, by one process at a time, to the directory that the store keeps under its
// chain id. Layers wait for those below only where an entry refers to them. Several layers are in work at
// once: no more than there are processors, and than an eighth of the memory holds if each takes what a
// hostile blob may.
class Unpacker {
 public:
  struct Layer {
    LayerRecord record;  // size_bytes is not read
    Descriptor blob;
  };
  // The layers of an image, bottom first; there are as many of one as of the other.
  static std::vector<Layer> layers_of(const Manifest& manifest, const ImageConfig& config);

  // Starts the threads; each layer waits for its fetched(). `progress` outlives the unpacker. `at_once`
  // layers are in work at a time; 0: as many as suit this machine.
  static Result<std::unique_ptr<Unpacker>> start(Store& store, std::vector<Layer> layers,
                                                 term::Progress& progress, unsigned at_once = 0);
  ~Unpacker();  // what is not finished is given up
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  // Layer `index`'s blob is in the store. May be called by any thread; gives the failure there has been, if
  // any.
  Result<void> fetched(std::size_t index);
  // Waits for all layers, whose blobs have all been fetched. On failure, layers finished so far stay, and
  // nothing half done; the error names the layer: DataLoss where one is not what the configuration's diff id
  // says.
  Result<void> finish();

 private:
  Unpacker(std::string store_root, Lease lease, std::vector<Layer> layers, term::Progress& progress);
  Result<std::size_t> skip_those_here(Store& store);
  Result<void> start_threads(std::size_t count);
  void work();
  Result<void> unpack_one(Store& store, std::size_t index);
  Result<void> unpack_new(Store& store, std::size_t index, std::size_t task);
  ParentLayers parents_of(std::size_t index);
  Error explain(Error error, std::size_t index) const;

  const std::string store_root_;
  const Lease lease_;
  const std::vector<Layer> layers_;
  term::Progress& progress_;
  UnpackOptions options_;  // what all layers share
  LayerStages stages_;
  std::vector<std::jthread> threads_;  // last: the threads use all of the above
};

}  // namespace berth::image
