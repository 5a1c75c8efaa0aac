// SPDX-License-Identifier: GPL-2.0-or-later
//
// The network namespaces of the host (network_namespaces(7)).
#pragma once

#include <functional>
#include <string>

#include "base/result.hpp"
#include "base/sys_root.hpp"

namespace vfb::nic {

// Calls `visit` in each but the calling thread's, with its name (one in /run/netns, or `process 123
// (name)`) and a descriptor of ours, in a thread of its own. Goes on past one that fails, and
// returns the first failure. Needs CAP_SYS_ADMIN.
Result<> in_other_namespaces(
    const SysRoot& root, const std::function<Result<>(const std::string& name, int ours)>& visit);

}  // namespace vfb::nic
