// SPDX-License-Identifier: GPL-2.0-or-later
//
// The half of DeviceWork that undoes what was done to a PF.
#include <fmt/format.h>

#include "broker/device_work.hpp"
#include "pci/inventory.hpp"
#include "pci/sriov.hpp"
#include "timeouts.hpp"

namespace vfb::broker {

Result<> DeviceWork::refuse_held(const std::vector<pci::Address>& vfs, const std::string& operation,
                                 const Despite& despite) const {
    VFB_TRY(const auto holders, vfio::find_holders(root_, vfs));
    for (std::size_t i = 0; i < vfs.size(); ++i)
        if (!holders[i].empty())
            return fail(Code::busy, operation, vfs[i].str(),
                        fmt::format("{} still has {} open", vfio::describe(holders[i]), vfs[i]),
                        "end it, then vfbroker reload");
    VFB_TRY(const auto functions, read_functions(vfs));
    VFB_TRY(auto uses, uses_in_the_way(functions));
    for (std::size_t i = 0; i < functions.size(); ++i) {
        const auto reasons = despite.find(vfs[i]);
        VFB_CHECK(
            refuse_uses(functions[i], std::move(uses[i]),
                        reasons == despite.end() ? std::set<std::string>{} : reasons->second));
    }
    return {};
}

Result<> DeviceWork::set_down_unused(const pci::Address& pf) {
    VFB_TRY(const int ifindex, pf_ifindex(pf));
    if (ifindex == 0) return {};
    VFB_TRY(const auto function, pci::Inventory(root_, false).read(pf));
    VFB_TRY(auto uses, host_uses(function));
    // A default route alone came out of a router advertisement, because the link was set up here:
    // one that somebody made has an address as well.
    std::erase_if(uses, [](const Use& use) { return use.kind == "default-route"; });
    if (!uses.empty()) return {};
    const std::scoped_lock lock(nic_mutex_);
    VFB_TRY(auto session, nic::Session::open());
    VFB_CHECK(session.set_up(ifindex, false));
    return {};
}

// A daemon that was restarted in between may not have scrubbed it: nothing that its last owner was
// given may stay on it.
Result<> DeviceWork::give_back_vf(const pci::Address& pf, const std::vector<pci::Address>& vfs,
                                  unsigned index, const pci::Binding& binding) {
    VFB_TRY(const int ifindex, pf_ifindex(pf));
    if (ifindex != 0) {
        const std::scoped_lock lock(nic_mutex_);
        VFB_TRY(auto session, nic::Session::open());
        VFB_CHECK(session.write(ifindex, index, nic::safe_defaults(), kReadBackTimeout));
    }
    return give_back_vf(vfs[index], binding);
}

// The VFs of somebody else that were removed to have another number of them.
Result<> DeviceWork::recreate_vfs(const GiveBackRequest& request) {
    if (request.found_vfs == 0) return {};
    VFB_TRY(const auto vfs, pci::create_vfs(root_, request.pf, request.found_vfs, kCreateTimeout));
    for (const auto& [index, binding] : request.bindings)
        if (index < vfs.size()) VFB_CHECK(give_back_vf(request.pf, vfs, index, binding));
    return {};
}

Result<> DeviceWork::give_back_pf(const GiveBackRequest& request) {
    const auto operation = fmt::format("give {} back to the host", request.pf);
    // A worker of a daemon that was killed may be creating its VFs yet: the kernel's lock tells.
    wait_until_unlocked(request.pf);
    VFB_TRY(const auto vfs, pci::list_vfs(root_, request.pf));
    // All are asked before the first is touched.
    std::vector<pci::Address> touched;
    for (unsigned index = 0; index < vfs.size(); ++index)
        if (request.remove_vfs || request.bindings.contains(index)) touched.push_back(vfs[index]);
    VFB_CHECK(refuse_held(touched, operation));
    // As drivers differ in whether there may be VFs meanwhile, it is tried with them and without.
    Result<> switched;
    const auto restore_switch = [&] {
        if (auto set = set_eswitch_mode(request.pf, *request.eswitch_mode); !set)
            switched = std::unexpected(std::move(set).error());
        else
            switched = {};
    };
    if (request.eswitch_mode) restore_switch();
    if (request.remove_vfs) {
        VFB_CHECK(pci::remove_vfs(root_, request.pf));
        VFB_CHECK(recreate_vfs(request));
        VFB_CHECK(pci::write_autoprobe(root_, request.pf, request.autoprobe));
    } else {
        for (const auto& [index, binding] : request.bindings)
            if (index < vfs.size()) VFB_CHECK(give_back_vf(request.pf, vfs, index, binding));
    }
    if (!switched) restore_switch();
    VFB_CHECK(std::move(switched));
    if (request.mtu) VFB_CHECK(set_mtu(request.pf, *request.mtu));
    if (request.set_down) VFB_CHECK(set_down_unused(request.pf));
    return {};
}

}  // namespace vfb::broker
