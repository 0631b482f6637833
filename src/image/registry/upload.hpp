// One blob from the store into a registry: not sent where it is there already or can be mounted, resumed
// where it breaks off.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "image/registry/client.hpp"
#include "image/registry/transfer.hpp"
#include "image/store/store.hpp"

namespace berth::image::registry {

// `mount_from`: repositories of the same registry that probably have the blob; the first few are tried.
Result<void> upload_blob(Client& client, const std::string& repository, Store& store, const Descriptor& blob,
                         const std::vector<std::string>& mount_from, SharedObserver& observer);

}  // namespace berth::image::registry
