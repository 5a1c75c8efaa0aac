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

// What the kernel's iommu.c requires (REQ_ACS_FLAGS), in the order of kAcsControls.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 4> kRequired{{
    {PCI_ACS_SV, kAcsControls[0]},
    {PCI_ACS_RR, kAcsControls[1]},
    {PCI_ACS_CR, kAcsControls[2]},
    {PCI_ACS_UF, kAcsControls[3]},
}};

// No more bridges than buses: an inventory that is wrong must not keep us here for ever.
constexpr std::size_t kMostBridges = 256;

std::string full_name(const pci::Function& function) {
    if (function.device_name.empty()) return function.ids();
    if (function.vendor_name.empty()) return function.device_name.str();
    return function.vendor_name.str() + " " + function.device_name.str();
}

struct Registers {
    std::uint32_t has = 0xffff;  // what there is to control
    std::uint32_t on = 0;
};

// nullopt: no ACS.
std::optional<Registers> read_registers(const ConfigSpace& config) {
    const auto acs = config.find_extended(PCI_EXT_CAP_ID_ACS);
    if (!acs) return std::nullopt;
    // Capability register in the low half, control register in the high one.
    const std::uint32_t both = config.long_at(*acs + PCI_ACS_CAP).value_or(0xffff);
    return Registers{.has = both & 0xffff, .on = both >> 16};
}

// pci_acs_flags_enabled(): a control that the capability does not have counts as hard-wired on.
std::optional<AcsGap> check_controls(const ConfigSpace& config, AcsGap gap) {
    const auto acs = read_registers(config);
    gap.capability = acs.has_value();
    const auto [has, on] = acs.value_or(Registers{});
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

std::string_view kind_of(const pci::Function& function) {
    if (!function.pcie_type) return "PCI bridge";
    switch (*function.pcie_type) {
        case PCI_EXP_TYPE_ROOT_PORT:
            return "root port";
        case PCI_EXP_TYPE_UPSTREAM:
            return "switch upstream port";
        case PCI_EXP_TYPE_DOWNSTREAM:
            return "switch downstream port";
        case PCI_EXP_TYPE_PCI_BRIDGE:
            return "PCIe-to-PCI bridge";
        case PCI_EXP_TYPE_PCIE_BRIDGE:
            return "PCI-to-PCIe bridge";
        default:
            return "PCIe bridge";
    }
}

void read_acs(const SysRoot& root, const pci::Function& bridge, BridgeOnPath& on_path) {
    const auto config = ConfigSpace::open(root, bridge.address);
    if (!config || !config->complete()) return;
    const auto acs = read_registers(*config);
    on_path.capability = acs.has_value();
    for (std::size_t i = 0; i < kRequired.size(); ++i) {
        if (!acs || (acs->has & kRequired[i].first) == 0)
            on_path.controls[i] = AcsControl::not_implemented;
        else
            on_path.controls[i] =
                (acs->on & kRequired[i].first) != 0 ? AcsControl::on : AcsControl::off;
    }
    on_path.gap = check(bridge, *config, false);
}

}  // namespace

std::string_view to_string(AcsControl control) {
    switch (control) {
        case AcsControl::on:
            return "on";
        case AcsControl::off:
            return "off";
        case AcsControl::not_implemented:
            return "not-implemented";
        case AcsControl::unknown:
            return "unknown";
    }
    return "unknown";
}

std::vector<BridgeOnPath> path_to_root(const SysRoot& root, const Functions& functions,
                                       const pci::Function& function) {
    std::vector<BridgeOnPath> path;
    auto parent = function.is_bridge() ? function.address : function.parent;
    while (parent && path.size() < kMostBridges) {
        const auto bridge = functions.find(*parent);
        if (bridge == functions.end()) break;
        BridgeOnPath on_path;
        on_path.address = *parent;
        on_path.name = full_name(bridge->second);
        on_path.kind = kind_of(bridge->second);
        on_path.group = bridge->second.group;
        read_acs(root, bridge->second, on_path);
        on_path.quirk =
            on_path.gap && function.group && on_path.group && function.group != on_path.group;
        path.push_back(std::move(on_path));
        parent = bridge->second.parent;
    }
    return path;
}

Gaps find_gaps(const SysRoot& root, const Functions& functions, const pci::Function& function,
               const Group& group) {
    Gaps gaps;
    if (is_one_of_several(functions, function) && shares_device(group, function.address))
        look_at(root, function, true, gaps);
    auto parent = function.parent;
    for (std::size_t depth = 0; parent && depth < kMostBridges; ++depth) {
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
