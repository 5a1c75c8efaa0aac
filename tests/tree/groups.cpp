// SPDX-License-Identifier: GPL-2.0-or-later
#include "groups.hpp"

#include <linux/pci_regs.h>

namespace vfb::tree {
namespace {

constexpr unsigned kNeeded = PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF;

bool has_acs(const FunctionSpec& spec) {
    return spec.acs && (*spec.acs & kNeeded) == kNeeded;
}

bool isolates(const FunctionSpec& spec) {
    if (!spec.function.pcie_type) return false;
    switch (*spec.function.pcie_type) {
        case PCI_EXP_TYPE_PCI_BRIDGE:
        case PCI_EXP_TYPE_PCIE_BRIDGE:
            return false;
        case PCI_EXP_TYPE_ROOT_PORT:
        case PCI_EXP_TYPE_DOWNSTREAM:
            return has_acs(spec);
        default:
            return !spec.function.multifunction || has_acs(spec);
    }
}

}  // namespace

std::uint32_t GroupNumbers::own_group(const FunctionSpec& spec) {
    if (!spec.function.multifunction || (spec.function.pcie_type && has_acs(spec))) return next_++;
    auto device = spec.function.address;
    device.function = 0;
    const auto [entry, added] = multifunction_.try_emplace(device, next_);
    if (added) ++next_;
    return entry->second;
}

std::uint32_t GroupNumbers::assign(const FunctionSpec& spec) {
    const auto& parent = spec.function.parent;
    const Known above = parent ? known_.at(*parent) : Known{.group = 0, .path_isolates = true};
    Known own;
    own.group = above.path_isolates ? own_group(spec) : above.group;
    own.path_isolates = above.path_isolates && isolates(spec);
    known_[spec.function.address] = own;
    return own.group;
}

}  // namespace vfb::tree
