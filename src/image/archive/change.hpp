// Changes to an image's configuration in the words of a Dockerfile: import --change 'CMD ["sh"]'.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "image/model/manifest.hpp"

namespace berth::image {

// CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR. InvalidArgument quotes the
// change.
Result<void> apply_change(ImageConfig& config, std::string_view change);

}  // namespace berth::image
