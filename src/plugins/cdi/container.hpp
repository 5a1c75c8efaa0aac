// SPDX-License-Identifier: GPL-2.0-or-later
//
// Device nodes in a container that is being created: its mounts are there, and its process has not
// begun (OCI hook createRuntime).
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "state.hpp"

namespace vfb::cdi {

// Makes the host's nodes `nodes` in the container as well, under the same paths, for its user, and
// lets its device cgroup use them. What is half done at an Error ends with the container.
Result<> give_nodes(const SysRoot& root, const State& state, const std::vector<std::string>& nodes);

}  // namespace vfb::cdi
