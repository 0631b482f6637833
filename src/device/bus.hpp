// The two address spaces in which processors reach devices: ports, and memory that is not RAM.
#pragma once

#include <cstdint>
#include <vector>

namespace berth::device {

// A device behind ports. It gets the absolute port; `bytes` is 1, 2 or 4. Called on vCPU threads, at the same
// time by several: a device locks itself.
class PortDevice {
 public:
  virtual ~PortDevice() = default;
  virtual std::uint32_t port_read(std::uint16_t port, unsigned bytes) = 0;
  virtual void port_write(std::uint16_t port, unsigned bytes, std::uint32_t value) = 0;
};

// One whose registers are a byte wide: wider accesses go to consecutive ports, as on the ISA bus.
class BytePortDevice : public PortDevice {
 public:
  std::uint32_t port_read(std::uint16_t port, unsigned bytes) final;
  void port_write(std::uint16_t port, unsigned bytes, std::uint32_t value) final;

 protected:
  virtual std::uint8_t read_byte(std::uint16_t port) = 0;
  virtual void write_byte(std::uint16_t port, std::uint8_t value) = 0;
};

// A device behind guest-physical addresses; `offset` counts from where it is attached, `bytes` is 1, 2, 4 or
// 8. Called like a port device.
class MmioDevice {
 public:
  virtual ~MmioDevice() = default;
  virtual std::uint64_t mmio_read(std::uint64_t offset, unsigned bytes) = 0;
  virtual void mmio_write(std::uint64_t offset, unsigned bytes, std::uint64_t value) = 0;
};

// All ones of that width: what nobody answers.
constexpr std::uint64_t floating_bus(unsigned bytes) {
  return bytes >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * bytes)) - 1;
}

// Devices are attached while the machine is built and outlive the bus's use; ranges may not overlap.
class PortBus {
 public:
  void attach(std::uint16_t first, std::uint16_t count, PortDevice& device);
  std::uint32_t read(std::uint16_t port, unsigned bytes) const;
  void write(std::uint16_t port, unsigned bytes, std::uint32_t value) const;

 private:
  struct Range {
    std::uint32_t first, end;
    PortDevice* device;
  };
  PortDevice* find(std::uint16_t port) const;
  std::vector<Range> ranges_;  // sorted
};

class MmioBus {
 public:
  void attach(std::uint64_t start, std::uint64_t bytes, MmioDevice& device);
  std::uint64_t read(std::uint64_t address, unsigned bytes) const;
  void write(std::uint64_t address, unsigned bytes, std::uint64_t value) const;

 private:
  struct Range {
    std::uint64_t start, end;
    MmioDevice* device;
  };
  const Range* find(std::uint64_t address, unsigned bytes) const;
  std::vector<Range> ranges_;  // sorted
};

}  // namespace berth::device
