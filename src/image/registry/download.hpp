// One blob from the registry into the store: verified as it streams, resumed where it broke off.
#pragma once

#include <string>

#include "base/result.hpp"
#include "image/registry/client.hpp"
#include "image/registry/transfer.hpp"
#include "image/store/store.hpp"

namespace berth::image::registry {

// Nothing is fetched where the store has the blob already. Bytes of an interrupted attempt, this process's or
// an earlier one's, are kept and the rest is asked for with a Range; a registry that ignores it, or whose
// file has changed, makes us start over. DataLoss where digest or size are not as `blob` says.
Result<void> download_blob(Client& client, const std::string& repository, Store& store,
                           const Descriptor& blob, SharedObserver& observer);

}  // namespace berth::image::registry
