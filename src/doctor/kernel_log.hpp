// SPDX-License-Identifier: GPL-2.0-or-later
//
// The kernel's log by /dev/kmsg (Documentation/ABI/testing/dev-kmsg).
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"

namespace vfb::doctor {

// What is in the ring since it was last cleared (dmesg --clear), without waiting for more: the text
// of each record. Needs CAP_SYSLOG where kernel.dmesg_restrict is set.
Result<std::vector<std::string>> read_kernel_log(const SysRoot& root);

}  // namespace vfb::doctor
