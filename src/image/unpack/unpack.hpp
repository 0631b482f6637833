// From an image's layer archives to the directories that units run from.
#pragma once

#include "base/result.hpp"
#include "image/store/store.hpp"
#include "term/progress.hpp"

namespace berth::image {

// Makes every layer of `image` ready in the store. Each is unpacked once, by one process at a time; those
// that are there already cost a query. DataLoss where a layer is not what the configuration's rootfs.diff_ids
// says. On failure, layers finished so far stay, and nothing half done.
Result<void> ensure_unpacked(Store& store, const ImageRecord& image, term::Progress& progress);

// Takes a new image in, all of whose blobs are in the store: it gets its name only once it is unpacked, so
// that a name never moves from an image that runs to one that does not.
Result<ImageRecord> store_unpacked(Store& store, const std::optional<Reference>& name,
                                   const Descriptor& manifest, term::Progress& progress);

}  // namespace berth::image
