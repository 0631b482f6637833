// For tests: what devices did to the outside.
#pragma once

#include <map>
#include <vector>

#include "device/end.hpp"
#include "device/irq/line.hpp"
#include "device/irq/local_apic.hpp"

namespace berth::device {

class RecordingLines final : public InterruptSink {
 public:
  void set_line(unsigned gsi, bool high) override {
    if (high && !level[gsi]) ++rises[gsi];
    level[gsi] = high;
  }
  std::map<unsigned, bool> level;
  std::map<unsigned, int> rises;
};

class RecordingEnd final : public EndSink {
 public:
  void end(End end) override { ends.push_back(end); }
  std::vector<End> ends;
};

class RecordingOwner final : public ApicOwner {
 public:
  void wake() override { ++wakes; }
  void nmi() override { ++nmis; }
  void init() override { ++inits; }
  void startup(std::uint8_t vector) override { startups.push_back(vector); }
  int wakes = 0, nmis = 0, inits = 0;
  std::vector<std::uint8_t> startups;
};

}  // namespace berth::device
