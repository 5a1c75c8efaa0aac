// SPDX-License-Identifier: GPL-2.0-or-later
//
// Reading what explains a function. Nothing that fails here stops the rest.
#include "doctor/explain.hpp"
#include "pci/inventory.hpp"

namespace vfb::doctor {
namespace {

std::string name_of(const pci::Function& function) {
    if (function.device_name.empty()) return function.ids();
    return function.vendor_name.str() + " " + function.device_name.str();
}

// Takes a value, or notes for which check it is missing.
template <class T>
void take(Result<T> result, const char* check, T& value, Explanation& e) {
    if (result)
        value = std::move(*result);
    else
        e.unread.emplace(check, std::move(result).error());
}

void read_group(const SysRoot& root, const iommu::Functions& relatives, Explanation& e) {
    if (!e.function.group) return;
    const auto group = iommu::read_group(root, *e.function.group);
    if (!group) {
        e.unread.emplace("reserved-regions", group.error());
        return;
    }
    e.noiommu = group->noiommu;
    e.group_type = group->type;
    e.reserved_regions = group->reserved_regions;
    for (const auto& address : group->members) {
        const auto found = relatives.find(address);
        if (found == relatives.end()) continue;
        e.members.push_back({.address = address,
                             .name = name_of(found->second),
                             .bridge = found->second.is_bridge(),
                             .driver = found->second.driver,
                             .uses = {}});
    }
}

void read_uses(const broker::DeviceWork& work, const iommu::Functions& relatives,
               const std::string& ssh_client, Explanation& e) {
    std::vector<const pci::Function*> functions{&e.function};
    for (const auto& member : e.members) functions.push_back(&relatives.at(member.address));
    auto uses = work.host_uses(functions, ssh_client);
    if (!uses) {
        e.unread.emplace("host-use", std::move(uses).error());
        return;
    }
    e.uses = std::move(uses->front());
    for (std::size_t i = 0; i < e.members.size(); ++i)
        e.members[i].uses = std::move((*uses)[i + 1]);
}

}  // namespace

Result<Explanation> explain(const SysRoot& root, broker::DeviceWork& work,
                            const pci::Address& address, const std::string& ssh_client) {
    Explanation e;
    VFB_TRY(e.function, pci::Inventory(root).read(address));
    const auto relatives = work.relatives(e.function);
    take(iommu::read_platform(root), "interrupt-remapping", e.platform, e);
    take(iommu::judge(root, relatives, address), "iommu-group", e.verdict, e);
    read_group(root, relatives, e);
    e.bridges = iommu::path_to_root(root, relatives, e.function);
    read_uses(work, relatives, ssh_client, e);
    take(vfio::find_holders(root, address), "holders", e.holders, e);
    take(pci::variant_drivers(root, address), "variant-driver", e.variants, e);
    const bool bound = pci::is_vfio_driver(e.function.driver);
    e.support = vfio::read_support(root, bound ? std::optional(address) : std::nullopt);
    e.nodes = root.sys().read("devices/system/node/online").value_or("");
    e.interrupts_hint = iommu::interrupt_remapping_hint(root);
    return e;
}

}  // namespace vfb::doctor
