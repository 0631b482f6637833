// Guest-physical memory: a few regions of RAM, backed by one memory file of the host that is mapped at one
// stretch. Everything that is not RAM here is a device's (MMIO). Safe to use from many threads; the bytes in
// it are the guest's and may change between any two reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"
#include "sys/mapping.hpp"

namespace berth::guest {

// A guest-physical address.
enum class Gpa : std::uint64_t {};
constexpr std::uint64_t value(Gpa address) { return static_cast<std::uint64_t>(address); }
constexpr Gpa operator+(Gpa address, std::uint64_t bytes) { return Gpa{value(address) + bytes}; }

inline constexpr std::uint64_t kPageBytes = 4096;

struct Region {
  Gpa start{};
  std::uint64_t bytes = 0;
  std::uint64_t file_offset = 0;  // of its first byte in the memory file, and in the mapping
};

// Told of what a device has written into guest memory; any thread. Engines that keep translated code need it.
using WriteListener = std::function<void(Gpa, std::uint64_t)>;

class GuestMemory {
 public:
  // RAM of `bytes` (a multiple of 2 MiB): from 0 up to the hole below 4 GiB that devices use (it starts at 3
  // GiB), the rest from 4 GiB on. ResourceExhausted where the host cannot give it.
  static Result<GuestMemory> create(std::uint64_t bytes);

  const std::vector<Region>& regions() const { return regions_; }
  std::uint64_t bytes() const { return mapping_.size(); }
  int file() const { return file_.get(); }             // the memfd
  std::byte* base() const { return mapping_.data(); }  // see Region::file_offset

  // The host's bytes for [address, address + bytes); empty where any of them is not RAM or the range spans
  // two regions.
  std::span<std::byte> at(Gpa address, std::uint64_t bytes) const;
  // Where bytes that at() gave are in the guest.
  Gpa address_of(std::span<const std::byte> bytes) const;

  // Gives the whole pages among bytes that at() gave back to the host; they read as zeros from then on.
  void release(std::span<const std::byte> bytes) const;

  // OutOfRange where any byte is not RAM; nothing is copied then.
  Result<void> read(Gpa address, std::span<std::byte> out) const;
  Result<void> write(Gpa address, std::span<const std::byte> data) const;
  // As write(), for what is large: by the memory file, so that no page need be mapped before the guest
  // touches it.
  Result<void> load(Gpa address, std::span<const std::byte> data) const;

 private:
  GuestMemory(sys::Fd file, sys::Mapping mapping, std::vector<Region> regions);
  sys::Fd file_;
  sys::Mapping mapping_;
  std::vector<Region> regions_;
};

}  // namespace berth::guest
