// The host bridge: bus 0 with up to 32 single-function devices, reached by ports 0xcf8-0xcff and by ECAM
// (PCI Express 3.0, 7.2.2); and the memory window of their BARs. The reset register 0xcf9 lies among its
// ports.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "device/bus.hpp"
#include "device/end.hpp"
#include "device/pci/function.hpp"

namespace berth::device {

inline constexpr std::uint64_t kEcamBase = 0xe0000000;
inline constexpr std::uint64_t kEcamBytes = std::uint64_t{1} << 20;  // bus 0
inline constexpr std::uint32_t kPciWindowStart = 0xc0000000;
inline constexpr std::uint32_t kPciWindowEnd = 0xe0000000;
inline constexpr std::uint16_t kResetPort = 0xcf9;
inline constexpr std::uint8_t kResetValue = 0x06;

class PciHost final : public PortDevice {
 public:
  explicit PciHost(EndSink& end);
  void attach(PortBus& ports, MmioBus& memory);
  // At the next free device number, with its windows placed; false where all are taken or the window is full.
  // The function outlives the bridge's use. While the machine is built only.
  bool add(PciFunction& function);

  std::uint32_t port_read(std::uint16_t port, unsigned bytes) override;
  void port_write(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

 private:
  struct Ecam final : MmioDevice {
    explicit Ecam(PciHost& owner) : host(owner) {}
    std::uint64_t mmio_read(std::uint64_t offset, unsigned bytes) override;
    void mmio_write(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;
    PciHost& host;
  };
  struct Window final : MmioDevice {
    explicit Window(PciHost& owner) : host(owner) {}
    std::uint64_t mmio_read(std::uint64_t offset, unsigned bytes) override;
    void mmio_write(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;
    PciHost& host;
  };
  std::uint32_t config_read(unsigned device_function, unsigned offset, unsigned bytes) const;
  void config_write(unsigned device_function, unsigned offset, unsigned bytes, std::uint32_t value) const;
  PciFunction* at(unsigned device_function) const;
  PciFunction* decode(std::uint64_t address, unsigned bytes, PciFunction::Decoded& decoded) const;

  EndSink& end_;
  PciFunction bridge_;
  Ecam ecam_{*this};
  Window window_{*this};
  std::array<PciFunction*, 32> devices_{};
  unsigned count_ = 1;
  std::uint64_t next_window_ = kPciWindowStart;
  std::atomic<std::uint32_t> address_{0};  // CONFIG_ADDRESS
};

}  // namespace berth::device
