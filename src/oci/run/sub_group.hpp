// exec --cgroup: groups below a container's own.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/cgroup_dir.hpp"

namespace berth::oci {

// As runc takes them: "CONTROLLER[,CONTROLLER...]:PATH" each (version 1), or one PATH (every hierarchy that
// has such a group). They must exist: NotFound; InvalidArgument for a path with ".." and a controller named
// twice.
Result<std::vector<sys::CgroupDir>> find_sub_groups(const sys::Cgroup& group,
                                                    const std::vector<std::string>& wanted);

}  // namespace berth::oci
