// SPDX-License-Identifier: GPL-2.0-or-later
//
// Device nodes of VFIO, as sysfs names them.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"

namespace vfb::cdi {

// Those that a program opens which drives the function by that backend: its cdev and the iommufd's
// node, or its group's and the container's; never both. None where the function has none, as it is
// not with a VFIO driver at the moment.
Result<std::vector<std::string>> find_nodes(const SysRoot& root, const std::string& address,
                                            const std::string& backend);

}  // namespace vfb::cdi
