// One PCI function: its configuration space and its memory windows (PCI Local Bus 3.0, chapter 6; PCI Express
// configuration of 4 KiB).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>

namespace berth::device {

inline constexpr std::size_t kConfigBytes = 4096;

struct PciIds {
  std::uint16_t vendor = 0, device = 0;
  std::uint8_t revision = 0;
  std::uint32_t class_code = 0;  // class, subclass, interface
  std::uint16_t subsystem_vendor = 0, subsystem = 0;
};

class PciFunction {
 public:
  explicit PciFunction(const PciIds& ids);
  virtual ~PciFunction() = default;
  PciFunction(const PciFunction&) = delete;
  PciFunction& operator=(const PciFunction&) = delete;

  // Any thread. `offset` + `bytes` lies within the configuration space.
  std::uint32_t config_read(unsigned offset, unsigned bytes);
  void config_write(unsigned offset, unsigned bytes, std::uint32_t value);

  // The window that decodes this address now, and the offset in it.
  struct Decoded {
    unsigned bar;
    std::uint64_t offset;
  };
  bool decode(std::uint64_t address, unsigned bytes, Decoded& decoded) const;
  virtual std::uint64_t bar_read(unsigned bar, std::uint64_t offset, unsigned bytes);
  virtual void bar_write(unsigned bar, std::uint64_t offset, unsigned bytes, std::uint64_t value);

  // As firmware does before the system starts: gives windows their places from `next` on.
  void place_bars(std::uint64_t& next);
  bool bus_master() const;

 protected:
  // A 64-bit memory window in BARs `index` and `index` + 1; `bytes` is a power of two, at least 4096.
  void add_bar(unsigned index, std::uint64_t bytes);
  // Adds a capability of that id; `body` follows id and next pointer. Gives its offset.
  unsigned add_capability(std::uint8_t id, std::span<const std::uint8_t> body);
  void make_writable(unsigned offset, std::span<const std::uint8_t> mask);
  void set_config(unsigned offset, std::uint32_t value, unsigned bytes);
  std::uint32_t config(unsigned offset, unsigned bytes) const;
  // After a write, with the lock held; for functions that have registers there.
  virtual void config_written(unsigned /*offset*/, unsigned /*bytes*/) {}
  // Before a read, likewise.
  virtual void config_reading(unsigned /*offset*/, unsigned /*bytes*/) {}

 private:
  void update_decoding();

  mutable std::mutex mutex_;
  std::array<std::uint8_t, kConfigBytes> config_{};
  std::array<std::uint8_t, kConfigBytes> writable_{};
  unsigned capabilities_end_ = 0x40;
  unsigned last_capability_ = 0x34;  // where the next pointer is written
  struct Bar {
    std::uint64_t bytes = 0;
    std::atomic<std::uint64_t> address{0};
  };
  std::array<Bar, 6> bars_;
  std::atomic<std::uint16_t> command_{0};
};

}  // namespace berth::device
