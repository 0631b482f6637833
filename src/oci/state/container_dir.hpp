// The directory of one container below --root. Who makes it owns the name; a lock on it lets one command at a
// time change the container.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::oci {

// --root, or where it was not given /run/berth-oci; for an ordinary user, also as root of a user namespace,
// $XDG_RUNTIME_DIR/berth-oci.
std::string state_root(const std::string& root_option);

class ContainerDir {
 public:
  // Makes it, locked. AlreadyExists where the name is taken, InvalidArgument where it is none: letters,
  // digits and "_+-.", at most 1024, but not "." and "..".
  static Result<ContainerDir> create(const std::string& root, const std::string& id);
  // NotFound, "container does not exist", where there is none.
  static Result<ContainerDir> open(const std::string& root, const std::string& id);
  // Names below `root`, sorted; none where it does not exist.
  static Result<std::vector<std::string>> list(const std::string& root);

  const std::string& id() const { return id_; }
  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const;

  // Waits for the commands that change the container; held until this object goes.
  Result<void> lock();
  void unlock() { lock_.reset(); }
  // Whether another command holds it.
  bool busy() const;
  // Removes it, with all that is in it.
  Result<void> remove();

 private:
  ContainerDir(std::string id, std::string path) : id_(std::move(id)), path_(std::move(path)) {}
  std::string id_;
  std::string path_;
  sys::Fd lock_;
};

}  // namespace berth::oci
