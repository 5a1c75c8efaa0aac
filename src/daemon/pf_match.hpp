// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which function of the machine a PF of the configuration means.
#pragma once

#include "broker/config.hpp"
#include "iommu/groups.hpp"

namespace vfb::daemon {

// Exactly one SR-IOV function, or why not: none or several match, or the one that does has no
// SR-IOV. Pure.
Result<pci::Address> match_pf(const broker::PfConfig& pf, const iommu::Functions& functions);

}  // namespace vfb::daemon
