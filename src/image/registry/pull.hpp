// Pulling an image: manifest, configuration and layers into the store, then its name.
#pragma once

#include "base/result.hpp"
#include "image/registry/client.hpp"
#include "image/registry/transfer.hpp"
#include "image/store/store.hpp"

namespace berth::image::registry {

struct PullOptions {
  AccessOptions access;
  Platform platform = Platform::host();
  bool platform_required = false;  // --platform was given: an image for another one is an error, not a note
  unsigned parallel = 4;           // blobs at a time
  BackoffPolicy backoff;
  // Called, by one of several threads, when layer `index` of the manifest is in the store. May be empty.
  std::function<void(std::size_t index)> on_layer;
};

// Leaves in the store either the whole image under its name, or no name; blobs and bytes so far stay for the
// next attempt. Errors name the image, the registry and what failed.
Result<ImageRecord> pull(Store& store, const Reference& image, const PullOptions& options,
                         TransferObserver& observer);

}  // namespace berth::image::registry
