// Writing a container to files and making it again.
#pragma once

#include <string>

#include "oci/run/create.hpp"
#include "oci/run/criu.hpp"

namespace berth::oci {

// Writes the processes of a container that runs or is paused to options.image_dir. They end, unless `dump`
// lets them go on; the container then is stopped, and still there to be deleted. FailedPrecondition where
// CRIU is missing or cannot: the message has its words and the log's place.
Result<void> checkpoint(const std::string& root, const std::string& id, CriuOptions options,
                        const Dump& dump);

// Makes the container of `request` from options.image_dir and its bundle; its process runs, and is a child of
// the caller. Its terminal goes to the console socket; without one it is the caller's to hold. On failure
// nothing is left.
Result<Container> restore(const CreateRequest& request, CriuOptions options);

}  // namespace berth::oci
