// SPDX-License-Identifier: GPL-2.0-or-later
#include "pf_match.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace vfb::daemon {
namespace {

bool matches(const broker::PfSelector& wanted, const pci::Function& f) {
    const auto has_mac = [&](const nic::MacAddress& mac) {
        return std::ranges::any_of(f.netdevs, [&](const pci::Netdev& netdev) {
            const auto own = nic::MacAddress::parse(netdev.permanent_mac);
            return own && *own == mac;
        });
    };
    return (!wanted.address || *wanted.address == f.address) &&
           (!wanted.slot || *wanted.slot == f.slot) && (!wanted.mac || has_mac(*wanted.mac)) &&
           (!wanted.driver || wanted.driver == f.driver) &&
           (!wanted.vendor || *wanted.vendor == f.vendor) &&
           (!wanted.device || *wanted.device == f.device);
}

}  // namespace

Result<pci::Address> match_pf(const broker::PfConfig& pf, const iommu::Functions& functions) {
    const std::string operation = fmt::format("find PF {} ({})", pf.name, pf.selector.str());
    std::vector<pci::Address> found;
    const pci::Function* without_sriov = nullptr;
    for (const auto& [address, function] : functions) {
        if (!matches(pf.selector, function)) continue;
        if (function.is_pf())
            found.push_back(address);
        else
            without_sriov = &function;
    }
    if (found.size() == 1) return found.front();
    if (found.size() > 1)
        return fail(Code::invalid, operation, pf.name,
                    fmt::format("{} functions match: {}", found.size(), fmt::join(found, ", ")),
                    fmt::format("add a selector (address, slot or mac) at {}", pf.location.str()));
    if (without_sriov != nullptr)
        return fail(
            Code::unsupported, operation, pf.name,
            fmt::format("{} ({}) has no SR-IOV", without_sriov->address, without_sriov->ids()),
            "SR-IOV may be off in the firmware setup of the machine or of the card");
    return fail(
        Code::not_found, operation, pf.name, "no function of this machine matches",
        fmt::format("vfbroker list --all shows all; the selector is at {}", pf.location.str()));
}

}  // namespace vfb::daemon
