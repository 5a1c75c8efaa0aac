// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/device_work.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "base/undo.hpp"
#include "pci/inventory.hpp"
#include "pci/sriov.hpp"
#include "pci/storage_use.hpp"

namespace vfb::broker {
namespace {

using namespace std::chrono_literals;

// virtfnN links are there when the write to sriov_numvfs returns; this is for kernels that defer.
constexpr auto kCreateTimeout = 10s;
// Drivers apply a MAC late, some after a round trip to firmware.
constexpr auto kReadBackTimeout = 2s;
constexpr auto kAttributeHint = "see `vfbroker show` for what the driver reports";

bool is_vfio_driver(const std::optional<std::string>& driver) {
    // Variant drivers are named so too: mlx5_vfio_pci, hisi_acc_vfio_pci, ...
    return driver && (*driver == "vfio-pci" || driver->find("vfio") != std::string::npos);
}

}  // namespace

Result<int> DeviceWork::pf_ifindex(const pci::Address& pf) const {
    VFB_TRY(const auto device, root_.sys().open_dir("bus/pci/devices/" + pf.str()));
    if (!device.exists("net")) return 0;
    VFB_TRY(const auto names, device.list("net"));
    if (names.empty()) return 0;
    VFB_TRY(const auto ifindex, device.read_number("net/" + names.front() + "/ifindex"));
    return static_cast<int>(ifindex);
}

Result<PreparedPf> DeviceWork::prepare_pf(const PreparePfRequest& request) {
    PreparedPf prepared;
    Undo undo([](const Error&) {});  // what cannot be undone stands in the error that is returned
    VFB_TRY(const int ifindex, pf_ifindex(request.pf));
    if (request.link_up && ifindex != 0) {
        const std::scoped_lock lock(nic_mutex_);
        VFB_TRY(auto session, nic::Session::open());
        VFB_TRY(prepared.was_up, session.set_up(ifindex, true));
        if (!*prepared.was_up) undo.add([&] { return set_down_unused(request.pf); });
    }
    VFB_TRY(prepared.vfs, pci::list_vfs(root_, request.pf));
    if (prepared.vfs.empty() && request.vfs > 0) {
        VFB_TRY(prepared.autoprobe, pci::read_autoprobe(root_, request.pf));
        auto created = pci::create_vfs(root_, request.pf, request.vfs, kCreateTimeout);
        if (!created) return undo.fail(std::move(created).error());
        prepared.vfs = std::move(*created);
        prepared.created = true;
    }
    undo.commit();
    for (const auto& vf : prepared.vfs) {
        VFB_TRY(auto binding, pci::current_binding(root_, vf));
        prepared.bindings.push_back(std::move(binding));
    }
    return prepared;
}

iommu::Functions DeviceWork::relatives(const pci::Function& function) const {
    pci::Inventory inventory(root_);
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
    std::optional<std::vector<nic::Network>> networks;
    std::vector<std::vector<Use>> all(functions.size());
    int ssh_link = 0;
    for (std::size_t i = 0; i < functions.size(); ++i) {
        const pci::Function& function = *functions[i];
        const auto base_class = function.class_code >> 16;
        // Without a driver of the kernel it has neither links nor disks.
        if (!function.driver || is_vfio_driver(function.driver)) continue;
        if (base_class == kStorageClass) {
            VFB_TRY(all[i], pci::storage_uses(root_, function.address));
        }
        // A recorded tree has no network.
        if (!root_.is_host() || base_class != kNetworkClass) continue;
        if (!networks) {
            VFB_TRY(networks, nic::read_networks(root_));
            if (!ssh_client.empty()) ssh_link = nic::link_to(ssh_client).value_or(0);
        }
        std::set<std::string> names;
        for (const auto& netdev : function.netdevs) names.insert(netdev.name);
        all[i] = nic::uses_of(*networks, function.address.str(), names, ssh_client, ssh_link);
    }
    return all;
}

Result<> DeviceWork::refuse_in_use(const pci::Function& function,
                                   const std::set<std::string>& despite) const {
    VFB_TRY(auto uses, host_uses(function));
    for (const auto& netdev : function.netdevs)
        if (netdev.up && uses.empty())
            uses.push_back(
                {.kind = "up", .text = fmt::format("its network interface {} is up", netdev.name)});
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
    VFB_TRY(auto verdict, iommu::judge(root_, relatives(function), function.address));
    if (!verdict.viable && verdict.refusal) return std::unexpected(std::move(*verdict.refusal));
    return {};
}

Result<ScrubReport> DeviceWork::scrub(const ScrubRequest& request) {
    ScrubReport report;
    VFB_TRY(const auto function, pci::Inventory(root_, false).read(request.vf));
    if (!is_vfio_driver(function.driver)) VFB_CHECK(refuse_in_use(function, request.despite));
    VFB_CHECK(refuse_not_viable(function));

    report.driver = request.driver;
    if (report.driver == "auto") {
        VFB_TRY(report.driver, pci::best_vfio_driver(root_, request.vf));
    }
    VFB_TRY(const auto before, pci::bind(root_, request.vf, report.driver));
    (void)before;  // recorded by the daemon before the first scrub

    report.support = vfio::read_support(root_, request.vf);
    vfio::Backend backend{};
    if (request.backend) {
        backend = *request.backend;
    } else {
        VFB_TRY(backend, report.support.preferred());
    }
    VFB_TRY(report.device, vfio::reset_and_check(root_, request.vf, backend));
    if (request.reset_required && !report.device.resettable)
        return fail(Code::unsupported, fmt::format("scrub {}", request.vf), request.vf.str(),
                    "the function has no working reset, so what its last owner left in it stays",
                    "set reset = \"if-available\" in its pool if that is acceptable");

    VFB_TRY(const int ifindex, pf_ifindex(request.pf));
    if (ifindex == 0) return report;
    const std::scoped_lock lock(nic_mutex_);
    VFB_TRY(auto session, nic::Session::open());
    VFB_TRY(auto written,
            session.write(ifindex, request.index, request.attributes, kReadBackTimeout));
    report.attributes = written.actual;
    report.unsupported = std::move(written.unsupported);
    return report;
}

Result<nic::VfAttributes> DeviceWork::set_attributes(const pci::Address& pf, unsigned index,
                                                     const nic::VfAttributes& wanted) {
    VFB_TRY(const int ifindex, pf_ifindex(pf));
    if (ifindex == 0)
        return fail(Code::unsupported, fmt::format("set attributes of VF {} of {}", index, pf),
                    pf.str(), "its physical function is no network interface",
                    "lease it without attributes");
    const std::scoped_lock lock(nic_mutex_);
    VFB_TRY(auto session, nic::Session::open());
    VFB_TRY(auto report, session.write(ifindex, index, wanted, kReadBackTimeout));
    if (!report.unsupported.empty())
        return fail(Code::unsupported, fmt::format("set attributes of VF {} of {}", index, pf),
                    pf.str(),
                    fmt::format("its driver has no {}", fmt::join(report.unsupported, ", ")),
                    kAttributeHint);
    return report.actual;
}

Result<> DeviceWork::restore(const pci::Address& vf, const pci::Binding& original) {
    return pci::restore(root_, vf, original);
}

}  // namespace vfb::broker
