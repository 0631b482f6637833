// The WWW-Authenticate header field: how a server wants to be asked.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace berth::image::registry {

struct Challenge {
  std::string scheme;                             // lower case: "bearer"
  std::map<std::string, std::string> parameters;  // names in lower case
  // The parameter's value, "" where there is none.
  std::string parameter(const std::string& name) const;
};

// RFC 9110, sections 11.2 and 11.6.1: one field value may hold several challenges. What cannot be understood
// ends the list; what came before it counts.
std::vector<Challenge> parse_challenges(std::string_view field);

}  // namespace berth::image::registry
