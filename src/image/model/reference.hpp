// Image names: "[registry/]repository[:tag][@digest]", with Docker's and Podman's short forms.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "image/model/digest.hpp"

namespace berth::image {

// A fully qualified name. Grammar: distribution's reference package; repository at most 255 characters.
struct Reference {
  std::string registry;    // "docker.io", "localhost:5000"
  std::string repository;  // "library/busybox"
  std::string tag;         // "" when only a digest was given
  std::optional<Digest> digest;

  // "busybox" is docker.io/library/busybox:latest; "localhost/x" and "host:5000/x" name their registry.
  static Result<Reference> parse(std::string_view text);
  std::string text() const;      // "docker.io/library/busybox:latest"
  std::string name() const;      // without tag and digest
  std::string familiar() const;  // the shortest form that parses back to the same: "busybox:latest"
};

}  // namespace berth::image
