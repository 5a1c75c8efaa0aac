// SPDX-License-Identifier: GPL-2.0-or-later
//
// Explaining a group by Access Control Services (PCIe 6.12), as drivers/pci/pci.c judges them.
#pragma once

#include <vector>

#include "iommu/groups.hpp"

namespace vfb::iommu {

struct Gaps {
    std::vector<AcsGap> found;  // the function itself first, then upwards
    bool unknown = false;       // some config space could not be read
};

// Why `function` is in one group with others: the members of `group` on its way up to the root that
// do not isolate.
Gaps find_gaps(const SysRoot& root, const Functions& functions, const pci::Function& function,
               const Group& group);

}  // namespace vfb::iommu
