// SPDX-License-Identifier: GPL-2.0-or-later
//
// The words of a refusal: what stands in the way and what to do about it. Separate from judging, so
// that each can be read on its own.
#pragma once

#include "iommu/groups.hpp"

namespace vfb::iommu {

// The function is in no group at all.
Error refuse_without_group(const SysRoot& root, const Platform& platform,
                           const pci::Address& address);
// Its group was made by VFIO's no-IOMMU mode.
Error refuse_noiommu(const SysRoot& root, const Platform& platform, const pci::Address& address);
// Other members of the group are in the hands of host drivers.
Error refuse_shared_group(const Functions& functions, const pci::Address& address,
                          const Verdict& verdict);
// A guest could inject interrupts into the host.
Error refuse_unsafe_interrupts(const SysRoot& root, const pci::Address& address);

}  // namespace vfb::iommu
