// Json itself, for the files that make values or look into them. Its header takes a second to parse, so
// headers of ours do with "base/json.hpp", which only names it.
#pragma once

#include <nlohmann/json.hpp>

#include "base/json.hpp"
