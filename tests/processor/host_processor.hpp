// The processor that this program itself runs on, as a judge: a case is entered and left by signals, whose
// frames hold all registers. One at a time in a process, whose handlers of the signals of exceptions it takes
// over.
#pragma once

#include <memory>

#include "base/result.hpp"
#include "layout.hpp"

namespace berth::judge {

class HostProcessor {
 public:
  static Result<std::unique_ptr<HostProcessor>> create();
  HostProcessor(const HostProcessor&) = delete;
  HostProcessor& operator=(const HostProcessor&) = delete;
  ~HostProcessor();

  // The code must not leave the zone: nothing else guards the process against it.
  void run(const Case& what, Outcome& outcome);

 private:
  HostProcessor() = default;
  Result<void> map_pages();
  Result<void> take_signals();

  std::byte* pages_ = nullptr;  // all of them, for writing: code, then data
  std::byte* zone_ = nullptr;
  std::byte* stack_ = nullptr;
};

}  // namespace berth::judge
