// Pulling an image: manifest, configuration and layers into the store, then its name.
#pragma once

#include "base/result.hpp"
#include "image/registry/client.hpp"
#include "image/registry/transfer.hpp"
#include "image/store/store.hpp"

namespace berth::image::registry {

// Told how an image comes in, so that it can be put to use layer by layer. Its errors end the pull.
class ImageReceiver {
 public:
  virtual ~ImageReceiver() = default;
  virtual Result<void> begin(const Manifest& manifest, const ImageConfig& config) = 0;
  // Layer `index` of the manifest is in the store. Called by one of several threads.
  virtual Result<void> has_layer(std::size_t index) = 0;
  // All of them are. The image gets its name once this has returned.
  virtual Result<void> complete() = 0;
  virtual void give_up() = 0;  // the pull has failed; nothing of the store is in use any more on return
};

struct PullOptions {
  AccessOptions access;
  Platform platform = Platform::host();
  bool platform_required = false;  // --platform was given: an image for another one is an error, not a note
  unsigned parallel = 4;           // blobs at a time
  BackoffPolicy backoff;
  ImageReceiver* receiver = nullptr;
};

// Leaves in the store either the whole image under its name, or no name. Where the registry or the network
// failed, blobs and bytes so far stay for the next attempt; where the disk is full or the receiver refused
// the image, nothing stays. Errors name the image, the registry and what failed.
Result<ImageRecord> pull(Store& store, const Reference& image, const PullOptions& options,
                         TransferObserver& observer);

}  // namespace berth::image::registry
