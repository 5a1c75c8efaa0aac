// SPDX-License-Identifier: GPL-2.0-or-later
//
// IOMMU group numbers as the kernel gives them (drivers/iommu/iommu.c pci_device_group(),
// drivers/pci/pci.c pci_acs_enabled()): functions that can reach each other without the IOMMU share
// one.
#pragma once

#include <cstdint>
#include <map>

#include "tree/tree.hpp"

namespace vfb::tree {

class GroupNumbers {
public:
    // The group of a function. Bridges must be given before what is behind them.
    std::uint32_t assign(const FunctionSpec& spec);

private:
    struct Known {
        std::uint32_t group = 0;
        bool path_isolates = false;  // this bridge and all above it
    };
    std::uint32_t own_group(const FunctionSpec& spec);

    std::map<pci::Address, Known> known_;
    std::map<pci::Address, std::uint32_t> multifunction_;  // by function 0 of the device
    std::uint32_t next_ = 0;
};

}  // namespace vfb::tree
