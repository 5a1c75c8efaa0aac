// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/device_work.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "nic/mac_holders.hpp"
#include "pci/inventory.hpp"
#include "pci/sriov.hpp"
#include "pci/storage_use.hpp"
#include "timeouts.hpp"

namespace vfb::broker {
namespace {

// Of 70 billion local addresses of each kind; so many that are taken are no accident.
constexpr int kMostMacs = 16;

}  // namespace

Result<int> DeviceWork::pf_ifindex(const pci::Address& pf) const {
    VFB_TRY(const auto device, root_.sys().open_dir("bus/pci/devices/" + pf.str()));
    if (!device.exists("net")) return 0;
    VFB_TRY(const auto names, device.list("net"));
    if (names.empty()) return 0;
    VFB_TRY(const auto ifindex, device.read_number("net/" + names.front() + "/ifindex"));
    return static_cast<int>(ifindex);
}

iommu::Functions DeviceWork::relatives(const pci::Function& function, bool names) const {
    pci::Inventory inventory(root_, names);
    iommu::Functions found;
    std::vector<pci::Address> todo{function.address};
    if (function.group) {
        if (auto group = iommu::read_group(root_, *function.group))
            todo.insert(todo.end(), group->members.begin(), group->members.end());
    }
    while (!todo.empty()) {
        const pci::Address address = todo.back();
        todo.pop_back();
        if (found.contains(address)) continue;
        auto relative = inventory.read(address);
        if (!relative) continue;  // it vanished meanwhile; judge() goes by what is there
        if (relative->parent) todo.push_back(*relative->parent);
        found.emplace(address, std::move(*relative));
    }
    return found;
}

Result<std::vector<Use>> DeviceWork::host_uses(const pci::Function& function,
                                               const std::string& ssh_client) const {
    VFB_TRY(auto uses, host_uses(std::vector{&function}, ssh_client));
    return std::move(uses.front());
}

Result<std::vector<std::vector<Use>>> DeviceWork::host_uses(
    const std::vector<const pci::Function*>& functions, const std::string& ssh_client) const {
    constexpr std::uint32_t kStorageClass = 0x01;
    constexpr std::uint32_t kNetworkClass = 0x02;
    std::vector<std::vector<Use>> all(functions.size());
    std::vector<std::size_t> nics;
    for (std::size_t i = 0; i < functions.size(); ++i) {
        const pci::Function& function = *functions[i];
        const auto base_class = function.class_code >> 16;
        // Without a driver of the kernel it has neither links nor disks.
        if (!function.driver || pci::is_vfio_driver(function.driver)) continue;
        if (base_class == kStorageClass) {
            VFB_TRY(all[i], pci::storage_uses(root_, function.address));
        }
        // A recorded tree has no network.
        if (root_.is_host() && base_class == kNetworkClass) nics.push_back(i);
    }
    if (nics.empty()) return all;
    std::set<std::string> addresses;
    for (const auto i : nics) addresses.insert(functions[i]->address.str());
    VFB_TRY(const auto networks, nic::read_networks(root_, addresses));
    nic::FileHolders holders(root_, networks);
    const int ssh_link = ssh_client.empty() ? 0 : nic::link_to(ssh_client).value_or(0);
    for (const auto i : nics) {
        std::set<std::string> names;
        for (const auto& netdev : functions[i]->netdevs) names.insert(netdev.name);
        all[i] = nic::uses_of(networks, holders, functions[i]->address.str(), names, ssh_client,
                              ssh_link);
    }
    return all;
}

Result<std::vector<std::vector<Use>>> DeviceWork::uses_in_the_way(
    const std::vector<pci::Function>& functions) const {
    std::vector<const pci::Function*> pointers;
    pointers.reserve(functions.size());
    for (const auto& function : functions) pointers.push_back(&function);
    VFB_TRY(auto all, host_uses(pointers));
    for (std::size_t i = 0; i < functions.size(); ++i)
        for (const auto& netdev : functions[i].netdevs)
            if (netdev.up && all[i].empty())
                all[i].push_back(
                    {.kind = "up",
                     .text = fmt::format("its network interface {} is up", netdev.name)});
    return all;
}

Result<std::vector<pci::Function>> DeviceWork::read_functions(
    const std::vector<pci::Address>& addresses) const {
    std::vector<pci::Function> functions;
    pci::Inventory inventory(root_, false);
    for (const auto& address : addresses) {
        VFB_TRY(auto function, inventory.read(address));
        functions.push_back(std::move(function));
    }
    return functions;
}

Result<> DeviceWork::refuse_in_use(const pci::Function& function,
                                   const std::set<std::string>& despite) const {
    VFB_TRY(auto uses, uses_in_the_way({function}));
    return refuse_uses(function, std::move(uses.front()), despite);
}

Result<> DeviceWork::refuse_uses(const pci::Function& function, std::vector<Use> uses,
                                 const std::set<std::string>& despite) {
    std::erase_if(uses, [&](const Use& use) { return despite.contains(use.kind); });
    if (uses.empty()) return {};
    std::set<std::string> kinds;
    std::vector<std::string> reasons;
    for (const auto& use : uses) {
        kinds.insert(use.kind);
        reasons.push_back(use.text);
    }
    return fail(Code::busy, fmt::format("take {} from the host", function.address),
                function.address.str(),
                fmt::format("the host uses it: {}", fmt::join(reasons, "; ")),
                fmt::format("end that and set its interface down, then vfbroker reload; or, if it "
                            "may be torn away: vfbroker take {} --despite {}",
                            function.address, fmt::join(kinds, ",")));
}

Result<iommu::Verdict> DeviceWork::judge(const pci::Address& address) {
    VFB_TRY(const auto function, pci::Inventory(root_, false).read(address));
    return iommu::judge(root_, relatives(function), address);
}

Result<> DeviceWork::refuse_not_viable(const pci::Function& function) {
    VFB_TRY(const auto verdict, iommu::judge(root_, relatives(function, false), function.address));
    if (verdict.viable || !verdict.refusal) return {};
    // A refusal names the bridges above, and the names cost more than all the rest.
    VFB_TRY(auto named, iommu::judge(root_, relatives(function), function.address));
    if (!named.viable && named.refusal) return std::unexpected(std::move(*named.refusal));
    return {};
}

Result<ScrubReport> DeviceWork::scrub(const ScrubRequest& request) {
    ScrubReport report;
    VFB_TRY(const auto function, pci::Inventory(root_, false).read(request.vf));
    if (!pci::is_vfio_driver(function.driver) && !request.reclaim)
        VFB_CHECK(refuse_in_use(function, request.despite));
    VFB_CHECK(refuse_not_viable(function));

    report.driver = request.driver;
    if (report.driver == "auto") {
        VFB_TRY(report.driver, pci::best_vfio_driver(root_, request.vf));
    }
    VFB_CHECK(bind_and_reset(request, report));
    if (request.reset_required && !report.device.resettable)
        return fail(Code::unsupported, fmt::format("scrub {}", request.vf), request.vf.str(),
                    "the function has no working reset, so what its last owner left in it stays",
                    "set reset = \"if-available\" in its pool if that is acceptable");

    VFB_TRY(const int ifindex, pf_ifindex(request.pf));
    if (ifindex != 0) VFB_CHECK(write_attributes(request, ifindex, report));
    return report;
}

Result<> DeviceWork::leave_old_descriptors(const pci::Address& vf, const std::string& driver) {
    const auto nodes = vfio::find_nodes(root_, vf);
    if (!nodes && nodes.error().code != Code::not_found) return std::unexpected(nodes.error());
    // A group opens once, so that opening it again proves that it was closed; a cdev does not.
    if (!nodes || !nodes->cdev) return {};
    VFB_CHECK(vfio::check_unheld(root_, vf));
    VFB_TRY(const auto now, pci::current_binding(root_, vf));
    if (now.driver != driver) return {};  // binding the other one unbinds this
    // With the override in place nobody else's driver takes it in between.
    return pci::restore(root_, vf, {.driver = std::nullopt, .driver_override = driver});
}

Result<> DeviceWork::bind_and_reset(const ScrubRequest& request, ScrubReport& report) {
    const auto& vf = request.vf;
    VFB_CHECK(leave_old_descriptors(vf, report.driver));
    const auto bind = [&]() -> Result<> {
        // What was there before is recorded by the daemon before the first scrub.
        VFB_CHECK(pci::bind(root_, vf, report.driver));
        report.support = vfio::read_support(root_, vf);
        vfio::Backend backend{};
        if (request.backend) {
            backend = *request.backend;
        } else {
            VFB_TRY(backend, report.support.preferred());
        }
        VFB_TRY(report.device, vfio::reset_and_check(root_, vf, backend));
        return {};
    };
    VFB_CHECK(bind());
    const auto wanted = request.msix_vectors.value_or(report.device.msix_vectors);
    if (report.device.msix_vectors == wanted) return {};
    // The kernel changes it without a driver only; that nobody holds the VF was proven just now.
    VFB_CHECK(pci::restore(root_, vf, {}));
    const auto set = pci::set_msix_vectors(root_, request.pf, vf, wanted);
    VFB_CHECK(bind());
    if (!set) return std::unexpected(set.error());
    if (report.device.msix_vectors != wanted)
        return fail(Code::failed, fmt::format("give {} {} MSI-X vectors", vf, wanted), vf.str(),
                    fmt::format("the kernel took it, but it has {}", report.device.msix_vectors));
    return {};
}

Result<std::optional<Error>> DeviceWork::mac_conflict(int ifindex, unsigned index,
                                                      const nic::MacAddress& mac) const {
    VFB_TRY(const auto holders, nic::mac_holders(root_, mac, ifindex, index));
    if (holders.empty()) return std::nullopt;
    return fail(Code::busy, fmt::format("give VF {} the MAC address {}", index, mac.str()),
                mac.str(), fmt::format("{} has it", fmt::join(holders, ", ")),
                "choose another, or leave it out")
        .error();
}

Result<> DeviceWork::write_attributes(const ScrubRequest& request, int ifindex,
                                      ScrubReport& report) {
    const std::scoped_lock lock(nic_mutex_);
    VFB_TRY(auto session, nic::Session::open());
    VFB_TRY(const auto before, session.read(ifindex, request.index));
    auto wanted = request.attributes;
    // Only InfiniBand has them.
    if (!before.node_guid) wanted.node_guid.reset();
    if (!before.port_guid) wanted.port_guid.reset();
    // Its own stable address may be somebody else's; there are many.
    for (int i = 0; wanted.mac && wanted.mac != before.mac; ++i) {
        VFB_TRY(auto conflict, mac_conflict(ifindex, request.index, *wanted.mac));
        if (!conflict) break;
        if (i == kMostMacs) return std::unexpected(std::move(*conflict));
        wanted.mac = nic::next_stable_mac(*wanted.mac);
    }
    VFB_TRY(auto written, session.write(ifindex, request.index, wanted, kReadBackTimeout));
    report.attributes = written.actual;
    report.unsupported = std::move(written.unsupported);
    if (wanted.mac) VFB_CHECK(write_port_mac(request.pf, request.index, *wanted.mac));
    return {};
}

Result<> DeviceWork::write_port_mac(const pci::Address& pf, unsigned index,
                                    const nic::MacAddress& mac) {
    auto devlink = nic::Devlink::open("pci", pf.str());
    const auto mode = devlink ? devlink->eswitch_mode()
                              : Result<nic::EswitchMode>(std::unexpected(devlink.error()));
    if (!mode && mode.error().code == Code::unsupported) return {};
    if (!mode) return std::unexpected(mode.error());
    if (*mode == nic::EswitchMode::legacy) return {};
    VFB_TRY(const auto port, devlink->port_of_vf(index));
    if (!port || !port->mac) return {};
    return devlink->set_vf_mac(index, mac);
}

Result<std::vector<nic::VfAttributes>> DeviceWork::set_attributes(
    const pci::Address& pf, const std::vector<nic::VfRequest>& requests) {
    VFB_TRY(const int ifindex, pf_ifindex(pf));
    if (ifindex == 0)
        return fail(Code::unsupported, fmt::format("set attributes of VFs of {}", pf), pf.str(),
                    "its physical function is no network interface", "lease it without attributes");
    const std::scoped_lock lock(nic_mutex_);
    for (const auto& [index, wanted] : requests) {
        if (!wanted.mac) continue;
        VFB_TRY(auto conflict, mac_conflict(ifindex, index, *wanted.mac));
        if (conflict) return std::unexpected(std::move(*conflict));
    }
    VFB_TRY(auto session, nic::Session::open());
    VFB_TRY(auto results, session.write_many(ifindex, requests, kReadBackTimeout));
    std::vector<nic::VfAttributes> actual;
    for (auto& result : results) {
        VFB_TRY(auto report, std::move(result));
        actual.push_back(std::move(report.actual));
    }
    for (const auto& [index, wanted] : requests)
        if (wanted.mac) VFB_CHECK(write_port_mac(pf, index, *wanted.mac));
    return actual;
}

Result<> DeviceWork::give_back_vf(const pci::Address& vf, const pci::Binding& original) {
    return pci::restore(root_, vf, original);
}

}  // namespace vfb::broker
