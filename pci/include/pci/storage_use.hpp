// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the host uses the block devices of a function for, by sysfs (Documentation/ABI/stable/
// sysfs-block) and proc_pid_mountinfo(5). A worker's work: a dead disk may block.
#pragma once

#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "base/use.hpp"
#include "pci/address.hpp"

namespace vfb::pci {

// Kinds of use:
//   mount    it, a partition of it or what is made of it is mounted, in any mount namespace
//   swap     the host swaps to it
//   holder   LVM, dm-crypt, MD RAID or the like has it
//   claimed  something else has it for itself alone, as ZFS does (running kernel only)
// A disk that several controllers lead to (NVMe multipath) counts for each of them.
Result<std::vector<Use>> storage_uses(const SysRoot& root, const Address& address);

}  // namespace vfb::pci
