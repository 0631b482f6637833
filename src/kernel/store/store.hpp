// The kernels that virtual machines run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::kernel {

struct KernelRecord {
  std::string name;                  // its release, such as 6.1.0-56-cloud-amd64, unless named otherwise
  std::string source;                // the file or package it came from
  std::int64_t added_ns = 0;         // since the epoch
  std::uint64_t size_bytes = 0;      // vmlinux and modules
  std::vector<std::string> modules;  // in the order of loading
  bool is_default = false;
  std::string directory;
  std::string vmlinux() const { return directory + "/vmlinux"; }
  std::string modules_archive() const { return directory + "/modules.cpio"; }
};

// What a kernel is made of, when it is taken in.
struct KernelParts {
  std::string vmlinux;          // the ELF file's bytes
  std::string modules_archive;  // cpio
};

// Letters, digits and ._+-, at most 64, beginning with a letter or digit.
Result<void> check_kernel_name(std::string_view name);

class KernelStore {
 public:
  explicit KernelStore(const std::string& root) : directory_(root + "/kernels") {}

  Result<std::vector<KernelRecord>> list() const;  // by name
  // "" is the default one. NotFound says how to get one.
  Result<KernelRecord> find(std::string_view name) const;
  // A private directory for making kernels in, and the lock that keeps other makers out while it lives.
  struct Workshop {
    std::string path;
    sys::Fd lock;
  };
  // Waits for the present maker; clears away what a killed one left.
  Result<Workshop> workshop() const;
  // Replaces one of that name; the first one becomes the default. `record` gives name, source and modules.
  // The workshop is done with.
  Result<KernelRecord> add(const Workshop& shop, const KernelRecord& record, const KernelParts& parts) const;
  Result<void> set_default(std::string_view name) const;
  Result<void> remove(std::string_view name) const;

 private:
  std::string default_name() const;
  Result<KernelRecord> read(const std::string& name) const;
  Result<void> make(const std::string& path, const KernelRecord& record, const KernelParts& parts) const;
  std::string directory_;
};

}  // namespace berth::kernel
