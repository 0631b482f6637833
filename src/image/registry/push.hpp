// Pushing an image: its blobs, then its manifest, byte for byte as it is in the store.
#pragma once

#include "base/result.hpp"
#include "image/registry/client.hpp"
#include "image/registry/transfer.hpp"
#include "image/store/store.hpp"

namespace berth::image::registry {

struct PushOptions {
  AccessOptions access;
  unsigned parallel = 4;  // blobs at a time
  BackoffPolicy backoff;
};

// Gives the manifest's digest. The tag is set last, so readers of the registry never see half an image.
Result<Digest> push(Store& store, const ImageRecord& image, const Reference& destination,
                    const PushOptions& options, TransferObserver& observer);

}  // namespace berth::image::registry
