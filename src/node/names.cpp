#include "node/names.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace berth::node {
namespace {

constexpr std::size_t kMaxName = 128;

constexpr std::array<std::string_view, 48> kAdjectives = {
    "amber",  "bold",   "brave",  "bright", "brisk",  "calm",  "clear", "clever", "coral", "crisp",
    "deft",   "eager",  "early",  "fair",   "fleet",  "fond",  "fresh", "gentle", "glad",  "golden",
    "grand",  "happy",  "hardy",  "honest", "humble", "jolly", "keen",  "kind",   "late",  "light",
    "lively", "lucky",  "mellow", "merry",  "misty",  "noble", "proud", "quick",  "quiet", "ready",
    "salty",  "silver", "steady", "stout",  "sunny",  "swift", "tidy",  "warm"};

constexpr std::array<std::string_view, 48> kNouns = {
    "anchor", "bay",     "beacon", "boat",    "bollard", "bow",    "breeze",  "bridge", "buoy",   "canal",
    "cape",   "channel", "coast",  "compass", "cove",    "crane",  "current", "deck",   "dock",   "dune",
    "ferry",  "fjord",   "gull",   "harbour", "heron",   "island", "jetty",   "keel",   "lagoon", "lock",
    "mast",   "mooring", "oar",    "otter",   "pier",    "port",   "quay",    "reef",   "rudder", "sail",
    "seal",   "shoal",   "slip",   "sound",   "strait",  "tide",   "tug",     "wharf"};

std::size_t random_index(std::size_t size) {
  return static_cast<std::size_t>(*parse_u64(random_hex(8), 16)) % size;
}

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

}  // namespace

std::string new_id() { return random_hex(64); }

std::string generate_name() {
  return fmt::format("{}-{}", kAdjectives[random_index(kAdjectives.size())],
                     kNouns[random_index(kNouns.size())]);
}

Result<void> check_name(std::string_view name) {
  const auto allowed = [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; };
  if (!name.empty() && name.size() <= kMaxName && is_alnum(name[0]) &&
      std::all_of(name.begin(), name.end(), allowed)) {
    return {};
  }
  return fail(Code::InvalidArgument, fmt::format("--name {}: a name begins with a letter or digit and goes "
                                                 "on with those, '_', '.' or '-', {} at most",
                                                 name, kMaxName));
}

}  // namespace berth::node
