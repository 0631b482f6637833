// How the documents of this room are written out.
#pragma once

#include <string>

#include "base/json_value.hpp"

namespace berth::image {

// Without blanks. Bytes that are no UTF-8 become U+FFFD: labels come from people's terminals.
inline std::string write_json(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace berth::image
