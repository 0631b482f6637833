// Reading what a group has used.
#pragma once

#include "sys/cgroup.hpp"
#include "sys/cgroup_dir.hpp"

namespace berth::sys {

// One hierarchy each; null where the group has no part in it, whose figures then stay 0.
struct V1StatDirs {
  const CgroupDir* cpu = nullptr;
  const CgroupDir* cpuacct = nullptr;
  const CgroupDir* memory = nullptr;
  const CgroupDir* pids = nullptr;
  const CgroupDir* blkio = nullptr;
};
Result<CgroupStats> read_v1_stats(const V1StatDirs& dirs);

// Figures of controllers that are not enabled for the group stay 0; processor time is always there.
Result<CgroupStats> read_v2_stats(const CgroupDir& dir);

// Bytes read and written, summed over the disks: of blkio.throttle.io_service_bytes_recursive and of io.stat.
void add_v1_io(std::string_view text, CgroupStats& stats);
void add_v2_io(std::string_view text, CgroupStats& stats);

}  // namespace berth::sys
