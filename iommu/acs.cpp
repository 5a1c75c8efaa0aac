// SPDX-License-Identifier: GPL-2.0-or-later
#include "acs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/pci_regs.h>

#include <algorithm>
#include <array>
#include <utility>

#include "config_space.hpp"

namespace vfb::iommu {
namespace {

// What the kernel's iommu.c requires (REQ_ACS_FLAGS).
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 4> kRequired{{
    {PCI_ACS_SV, "SV"},
    {PCI_ACS_RR, "RR"},
    {PCI_ACS_CR, "CR"},
    {PCI_ACS_UF, "UF"},
}};

std::string full_name(const pci::Function& function) {
    if (function.device_name.empty()) return function.ids();
    if (function.vendor_name.empty()) return function.device_name.str();
    return function.vendor_name.str() + " " + function.device_name.str();
}

// pci_acs_flags_enabled(): a control that the capability does not have counts as hard-wired on.
std::optional<AcsGap> check_controls(const ConfigSpace& config, AcsGap gap) {
    const auto acs = config.find_extended(PCI_EXT_CAP_ID_ACS);
    gap.capability = acs.has_value();
    // Capability register in the low half, control register in the high one.
    const std::uint32_t both = acs ? config.long_at(*acs + PCI_ACS_CAP).value_or(0xffff) : 0xffff;
    const std::uint32_t has = both & 0xffff;
    const std::uint32_t on = both >> 16;
    for (const auto& [bit, name] : kRequired)
        if ((has & bit) != 0 && (on & bit) == 0) gap.missing.emplace_back(name);
    if (gap.missing.empty()) return std::nullopt;
    return gap;
}

AcsGap never_isolates(AcsGap gap) {
    gap.pcie_to_pci = true;
    for (const auto& [bit, name] : kRequired) gap.missing.emplace_back(name);
    return gap;
}

// pci_acs_enabled() for one function; `shared` when it is to be told from others of its device.
std::optional<AcsGap> check(const pci::Function& function, const ConfigSpace& config, bool shared) {
    AcsGap gap;
    gap.bridge = function.address;
    gap.bridge_name = full_name(function);
    gap.multifunction = shared;
    // Conventional PCI: whatever is on the bus can receive and snoop the DMA.
    if (!function.pcie_type) return shared ? check_controls(config, gap) : never_isolates(gap);
    switch (*function.pcie_type) {
        case PCI_EXP_TYPE_PCI_BRIDGE:
        case PCI_EXP_TYPE_PCIE_BRIDGE:
        case PCI_EXP_TYPE_RC_EC:
            return never_isolates(gap);
        case PCI_EXP_TYPE_DOWNSTREAM:
        case PCI_EXP_TYPE_ROOT_PORT:
            return check_controls(config, gap);
        default:
            if (!function.multifunction && !shared) return std::nullopt;
            return check_controls(config, gap);
    }
}

// A VF is one of several functions where its PF is, whatever its own header says; VFs of one PF are
// told apart by the PF.
bool is_one_of_several(const Functions& functions, const pci::Function& function) {
    if (!function.physfn) return function.multifunction;
    const auto pf = functions.find(*function.physfn);
    return pf != functions.end() && pf->second.multifunction;
}

bool holds(const Group& group, const pci::Address& address) {
    return std::ranges::find(group.members, address) != group.members.end();
}

bool shares_device(const Group& group, const pci::Address& address) {
    return std::ranges::any_of(group.members, [&](const pci::Address& other) {
        return other != address && other.domain == address.domain && other.bus == address.bus &&
               other.device == address.device;
    });
}

void look_at(const SysRoot& root, const pci::Function& function, bool shared, Gaps& gaps) {
    const auto config = ConfigSpace::open(root, function.address);
    if (!config || !config->complete()) {
        gaps.unknown = true;
        return;
    }
    if (auto gap = check(function, *config, shared)) gaps.found.push_back(std::move(*gap));
}

}  // namespace

Gaps find_gaps(const SysRoot& root, const Functions& functions, const pci::Function& function,
               const Group& group) {
    Gaps gaps;
    if (is_one_of_several(functions, function) && shares_device(group, function.address))
        look_at(root, function, true, gaps);
    auto parent = function.parent;
    // No more bridges than buses: an inventory that is wrong must not keep us here for ever.
    for (int depth = 0; parent && depth < 256; ++depth) {
        const auto bridge = functions.find(*parent);
        if (bridge == functions.end()) break;
        // A bridge outside the group isolates, be it by a quirk that only the kernel knows.
        if (holds(group, *parent)) look_at(root, bridge->second, false, gaps);
        parent = bridge->second.parent;
    }
    return gaps;
}

std::string describe(const AcsGap& gap) {
    const std::string subject =
        fmt::format("{}{} ({})", gap.multifunction ? "" : "bridge ", gap.bridge, gap.bridge_name);
    if (gap.pcie_to_pci)
        return subject + " leads to conventional PCI, where nothing can be isolated";
    const std::string lack = gap.capability
                                 ? fmt::format("has ACS {} turned off", fmt::join(gap.missing, " "))
                                 : std::string("has no ACS");
    if (gap.multifunction)
        return fmt::format("{} {}, which would tell it from other functions of its device", subject,
                           lack);
    return subject + " " + lack;
}

}  // namespace vfb::iommu
