// A case on this processor, on the interpreter and on the translator: whether all three agree.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "guest_processor.hpp"
#include "host_processor.hpp"

namespace berth::judge {

class Judge {
 public:
  static Result<std::unique_ptr<Judge>> create();

  enum class Verdict { Agreed, Disagreed, NotTried };  // the last: it loops, or leaves the zone
  Verdict run(const Case& what);
  // Of the last case that was tried.
  unsigned vector() const { return host_outcome_.vector; }
  const std::string& difference() const { return difference_; }

 private:
  Judge() = default;
  bool run_guest(GuestProcessor& guest, const Case& what, Outcome& outcome);
  void watch(const std::stop_token& stop);
  void compare(const Case& what, const Outcome& found, bool is_translated);

  std::unique_ptr<HostProcessor> host_;
  std::unique_ptr<GuestProcessor> interpreter_, translator_;
  Outcome host_outcome_, interpreted_, translated_;
  std::string difference_;
  std::atomic<GuestProcessor*> running_{nullptr};
  std::atomic<std::uint64_t> runs_{0};
  std::jthread watchdog_;
};

}  // namespace berth::judge
