// The outside for a machine of an ordinary user's: passt, a process that turns the guest's frames into
// sockets of this host's (docs/decisions/0012).
#pragma once

#include <sys/types.h>

#include <memory>

#include "isolate/config.hpp"
#include "sys/fd.hpp"

namespace berth::unit {

// FailedPrecondition, with what to do, where there is no passt or nothing that it could reach.
Result<void> probe_user_network();

// The numbers of every such network: nobody but the guest and its passt sees them.
isolate::GuestInterface user_interface();

// passt on its way up. It ends by itself when nobody holds the machine's end any more.
class UserNetwork {
 public:
  static Result<std::unique_ptr<UserNetwork>> start();
  ~UserNetwork();
  UserNetwork(const UserNetwork&) = delete;
  UserNetwork& operator=(const UserNetwork&) = delete;
  int machine_end() const { return machine_end_.get(); }  // the stream of frames
  // Once, and soon: returns when passt serves the guest, or with why it does not.
  Result<void> await();

 private:
  UserNetwork(sys::Fd machine_end, sys::Fd messages, pid_t pid)
      : machine_end_(std::move(machine_end)), messages_(std::move(messages)), pid_(pid) {}
  sys::Fd machine_end_, messages_;
  pid_t pid_;  // -1 once it has been waited for
};

}  // namespace berth::unit
