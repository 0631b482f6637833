// An image's layers as disks: one read-only erofs file each, made once and shared by all machines.
#pragma once

#include <string>

#include "base/result.hpp"

namespace berth::unit {

// The image of the unpacked layer `directory` (layers/<chain id>/fs), beside it; makes it where it is not
// there yet. One maker at a time; what a killed one left is overwritten.
Result<std::string> layer_image(const std::string& directory);

// FailedPrecondition where the program that makes them is not installed.
Result<void> probe_layer_images();

}  // namespace berth::unit
