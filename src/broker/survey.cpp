// SPDX-License-Identifier: GPL-2.0-or-later
//
// The parts of DeviceWork for a whole PF: what is there, and another number of VFs.
#include <fmt/format.h>

#include <algorithm>

#include "broker/device_work.hpp"
#include "pci/inventory.hpp"
#include "pci/sriov.hpp"
#include "timeouts.hpp"

namespace vfb::broker {
namespace {

bool lacks_switch(const pci::Address& pf) {
    auto devlink = nic::Devlink::open("pci", pf.str());
    if (!devlink) return devlink.error().code == Code::unsupported;
    const auto mode = devlink->eswitch_mode();
    return !mode && mode.error().code == Code::unsupported;
}

}  // namespace

Result<DeviceWork::NetdevState> DeviceWork::read_netdev(const pci::Address& pf) const {
    VFB_TRY(const auto function, pci::Inventory(root_, false).read(pf));
    if (function.netdevs.empty()) return NetdevState{};
    const auto& netdev = function.netdevs.front();
    VFB_TRY(const auto mtu,
            root_.sys().read_number(fmt::format("bus/pci/devices/{}/net/{}/mtu", pf, netdev.name)));
    return NetdevState{.up = netdev.up, .mtu = static_cast<std::uint32_t>(mtu)};
}

Result<PfLimits> DeviceWork::read_limits(const pci::Address& pf,
                                         const std::vector<std::string>& attributes) const {
    constexpr std::uint64_t kNetworkClass = 0x02;
    PfLimits limits;
    const std::string device = "bus/pci/devices/" + pf.str() + "/";
    VFB_TRY(const auto total, root_.sys().read_number_optional(device + "sriov_totalvfs"));
    if (total) limits.vfs = static_cast<unsigned>(*total);
    VFB_TRY(const auto drivers, root_.sys().list("bus/pci/drivers"));
    limits.drivers.emplace(drivers.begin(), drivers.end());
    VFB_TRY(const auto class_code, root_.sys().read_number(device + "class"));
    // That of a NIC may be in another network namespace, where it is not seen from here.
    limits.has_netdev = class_code >> 16 == kNetworkClass;
    VFB_TRY(const int ifindex, pf_ifindex(pf));
    if (ifindex == 0 || !root_.is_host()) return limits;
    VFB_TRY(auto session, nic::Session::open());
    VFB_TRY(auto link, session.limits(ifindex, attributes));
    limits.has_netdev = true;
    limits.least_mtu = link.least_mtu;
    if (link.most_mtu != 0) limits.most_mtu = link.most_mtu;
    limits.lacking = std::move(link.lacking);
    if (std::ranges::find(attributes, kEswitchMode) != attributes.end() && lacks_switch(pf))
        limits.lacking.emplace_back(kEswitchMode);
    return limits;
}

Result<Survey> DeviceWork::survey_pf(const pci::Address& pf, unsigned wanted,
                                     const std::vector<std::string>& attributes) const {
    Survey survey;
    VFB_TRY(survey.limits, read_limits(pf, attributes));
    VFB_TRY(const auto netdev, read_netdev(pf));
    survey.up = netdev.up;
    survey.mtu = netdev.mtu;
    if (root_.is_host())
        if (auto devlink = nic::Devlink::open("pci", pf.str()))
            if (const auto mode = devlink->eswitch_mode()) survey.eswitch_mode = *mode;
    VFB_TRY(survey.vfs, pci::list_vfs(root_, pf));
    if (survey.vfs.empty()) return survey;
    for (const auto& address : survey.vfs) {
        VFB_TRY(const auto binding, pci::current_binding(root_, address));
        survey.drivers.push_back(binding.driver);
    }
    if (survey.vfs.size() != wanted) {
        VFB_TRY(survey.in_use, in_use(survey.vfs, survey.drivers));
    }
    VFB_TRY(survey.attributes, read_attributes(pf));
    return survey;
}

Result<std::map<pci::Address, std::vector<Use>>> DeviceWork::in_use(
    const std::vector<pci::Address>& vfs,
    const std::vector<std::optional<std::string>>& drivers) const {
    // Only what has a driver of the kernel can have links and disks, and reading all of a function
    // is most of the cost.
    std::vector<pci::Address> driven;
    for (std::size_t i = 0; i < vfs.size(); ++i)
        if (drivers[i] && !pci::is_vfio_driver(drivers[i])) driven.push_back(vfs[i]);
    VFB_TRY(const auto functions, read_functions(driven));
    VFB_TRY(auto uses, uses_in_the_way(functions));
    VFB_TRY(const auto holders, vfio::find_holders(root_, vfs));
    std::map<pci::Address, std::vector<Use>> found;
    for (std::size_t i = 0; i < driven.size(); ++i)
        if (!uses[i].empty()) found.emplace(driven[i], std::move(uses[i]));
    for (std::size_t i = 0; i < vfs.size(); ++i)
        if (!holders[i].empty())
            found[vfs[i]].push_back(
                {.kind = "vfio", .text = vfio::describe(holders[i]) + " has it open"});
    return found;
}

Result<std::vector<nic::VfAttributes>> DeviceWork::read_attributes(const pci::Address& pf) const {
    VFB_TRY(const int ifindex, pf_ifindex(pf));
    // A recorded tree has no network.
    if (ifindex == 0 || !root_.is_host()) return std::vector<nic::VfAttributes>{};
    VFB_TRY(auto session, nic::Session::open());
    return session.read_all(ifindex);
}

Result<> DeviceWork::resize_pf(const ResizePfRequest& request) {
    const auto operation = fmt::format("resize {} to {} VFs", request.pf, request.vfs);
    VFB_TRY(const auto vfs, pci::list_vfs(root_, request.pf));
    if (vfs.size() == request.vfs) return {};
    // All are asked before the first is touched.
    VFB_CHECK(refuse_held(vfs, operation, request.despite));
    VFB_CHECK(pci::remove_vfs(root_, request.pf));
    auto created = pci::create_vfs(root_, request.pf, request.vfs, kCreateTimeout);
    if (created) return {};
    if (vfs.empty()) return std::unexpected(std::move(created).error());
    const auto again =
        pci::create_vfs(root_, request.pf, static_cast<unsigned>(vfs.size()), kCreateTimeout);
    Error error = fail(created.error().code, operation, request.pf.str(),
                       again ? fmt::format("the {} VFs it had were created again", vfs.size())
                             : fmt::format("the {} VFs it had could not be created again: {}",
                                           vfs.size(), again.error().message()),
                       created.error().hint)
                      .error()
                      .because(std::move(created).error());
    return std::unexpected(std::move(error));
}

}  // namespace vfb::broker
