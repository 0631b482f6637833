// A serial port's other end: bytes to and from descriptors of the host, on two threads, so that a processor
// waits for neither unless the reader is slower than the guest for long.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "device/legacy/serial.hpp"
#include "sys/fd.hpp"

namespace berth::vmm {

class Console {
 public:
  // The descriptors stay the caller's. `input` < 0: nothing is read. What the guest writes beyond
  // `limit_bytes` is dropped.
  static Result<std::unique_ptr<Console>> create(int input, int output,
                                                 std::uint64_t limit_bytes = UINT64_MAX);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  device::Serial::Host host();
  // Begins to pass input on; the port outlives the console's input.
  void connect(device::Serial& serial);
  // Ends the input, and returns once all output has been written.
  void close();

 private:
  Console(int input, int output, std::uint64_t limit_bytes, sys::Pipe stop);
  void put(std::uint8_t byte);
  void write_output();
  void read_input();
  void feed(std::span<const std::uint8_t> bytes);

  const int input_, output_;
  std::uint64_t left_bytes_;  // that may still be written
  sys::Pipe stop_;            // closing its write end ends the reader
  device::Serial* serial_ = nullptr;
  std::mutex mutex_;
  std::condition_variable output_changed_, room_;
  std::vector<std::uint8_t> pending_;
  bool guest_read_ = false;
  bool closing_ = false;
  std::thread writer_, reader_;
};

}  // namespace berth::vmm
