// A disk (Virtual I/O Device 1.2, 5.2) whose content is a raw file of the host.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <string>

#include "device/virtio/device.hpp"
#include "sys/fd.hpp"

namespace berth::device {

class VirtioBlock final : public VirtioDevice {
 public:
  // `id` is what the guest sees as serial number, 20 characters of it. The file's size, in whole sectors of
  // 512 bytes, is the disk's.
  static Result<std::unique_ptr<VirtioBlock>> open(const std::string& path, bool read_only, std::string id);
  // The same of an open file; `name` is for messages.
  static Result<std::unique_ptr<VirtioBlock>> create(sys::Fd file, const std::string& name, bool read_only,
                                                     std::string id);

  std::uint16_t type() const override { return 2; }
  std::uint32_t class_code() const override { return 0x018000; }
  std::uint64_t features() const override;
  unsigned queues() const override { return 1; }
  std::uint64_t config_read(unsigned offset, unsigned bytes) override;
  void notify(unsigned queue) override;

 private:
  struct Request;
  VirtioBlock(sys::Fd file, std::uint64_t bytes, bool read_only, std::string id);
  std::uint32_t serve(const Chain& chain);
  std::uint8_t transfer(const Chain& chain, std::uint64_t sector, bool write, std::uint32_t& written);
  std::uint8_t give_id(const Chain& chain, std::uint32_t& written) const;

  sys::Fd file_;
  std::uint64_t bytes_;
  bool read_only_;
  std::string id_;
  std::vector<iovec> vectors_;
};

}  // namespace berth::device
