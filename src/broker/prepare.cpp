// SPDX-License-Identifier: GPL-2.0-or-later
//
// The half of DeviceWork that makes a PF what its configuration says.
#include <fmt/format.h>

#include "broker/device_work.hpp"
#include "pci/sriov.hpp"
#include "timeouts.hpp"

namespace vfb::broker {
namespace {

std::unexpected<Error> no_netdev(const pci::Address& pf) {
    return fail(Code::unsupported, fmt::format("set the MTU of {}", pf), pf.str(),
                "it has no network interface", "take mtu out of its configuration");
}

}  // namespace

// There is no network interface before that ends. The kernel locks the device meanwhile, and this
// reading waits for the lock.
void DeviceWork::wait_until_unlocked(const pci::Address& pf) const {
    (void)root_.sys().read(fmt::format("bus/pci/devices/{}/sriov_numvfs", pf));
}

Result<std::vector<pci::Binding>> DeviceWork::bindings_of(
    const std::vector<pci::Address>& vfs) const {
    std::vector<pci::Binding> bindings;
    for (const auto& vf : vfs) {
        VFB_TRY(auto binding, pci::current_binding(root_, vf));
        bindings.push_back(std::move(binding));
    }
    return bindings;
}

Result<FoundPf> DeviceWork::read_pf(const PreparePfRequest& request) const {
    FoundPf found;
    wait_until_unlocked(request.pf);
    VFB_TRY(found.vfs, pci::list_vfs(root_, request.pf));
    VFB_TRY(found.bindings, bindings_of(found.vfs));
    VFB_TRY(found.autoprobe, pci::read_autoprobe(root_, request.pf));
    VFB_TRY(const auto netdev, read_netdev(request.pf));
    VFB_TRY(found.limits, read_limits(request.pf, request.attributes));
    if (request.mtu && !netdev.mtu) return no_netdev(request.pf);
    if (request.mtu) found.mtu = netdev.mtu;
    if (request.link_up) found.up = netdev.up;
    if (request.eswitch_mode && !found.limits.lacks(kEswitchMode)) {
        VFB_TRY(auto devlink, nic::Devlink::open("pci", request.pf.str()));
        VFB_TRY(found.eswitch_mode, devlink.eswitch_mode());
    }
    return found;
}

Result<nic::EswitchMode> DeviceWork::set_eswitch_mode(const pci::Address& pf,
                                                      nic::EswitchMode mode) {
    VFB_TRY(auto devlink, nic::Devlink::open("pci", pf.str()));
    VFB_TRY(const auto before, devlink.eswitch_mode());
    if (before == mode) return before;
    // Drivers stop all traffic of VFs meanwhile, some reset them.
    VFB_TRY(const auto vfs, pci::list_vfs(root_, pf));
    VFB_CHECK(
        refuse_held(vfs, fmt::format("set the switch of {} to {} mode", pf, nic::to_string(mode))));
    return devlink.set_eswitch_mode(mode);
}

Result<std::uint32_t> DeviceWork::set_mtu(const pci::Address& pf, std::uint32_t mtu) {
    VFB_TRY(const int ifindex, pf_ifindex(pf));
    if (ifindex == 0) return no_netdev(pf);
    const std::scoped_lock lock(nic_mutex_);
    VFB_TRY(auto session, nic::Session::open());
    return session.set_mtu(ifindex, mtu);
}

Result<> DeviceWork::prepare_switch(const PreparePfRequest& request, Undo& undo) {
    VFB_TRY(const auto before, set_eswitch_mode(request.pf, *request.eswitch_mode));
    if (before != *request.eswitch_mode)
        undo.add([this, pf = request.pf, before]() -> Result<> {
            VFB_CHECK(set_eswitch_mode(pf, before));
            return {};
        });
    return {};
}

Result<> DeviceWork::prepare_netdev(const PreparePfRequest& request, Undo& undo) {
    if (request.mtu) {
        VFB_TRY(const auto before, set_mtu(request.pf, *request.mtu));
        if (before != *request.mtu)
            undo.add([this, pf = request.pf, before]() -> Result<> {
                VFB_CHECK(set_mtu(pf, before));
                return {};
            });
    }
    VFB_TRY(const int ifindex, pf_ifindex(request.pf));
    if (!request.link_up || ifindex == 0) return {};
    const std::scoped_lock lock(nic_mutex_);
    VFB_TRY(auto session, nic::Session::open());
    VFB_TRY(const bool was_up, session.set_up(ifindex, true));
    if (!was_up) undo.add([this, pf = request.pf] { return set_down_unused(pf); });
    return {};
}

Result<> DeviceWork::prepare_vfs(const PreparePfRequest& request, PreparedPf& prepared,
                                 Undo& undo) {
    if (prepared.vfs.empty() && request.vfs > 0) {
        VFB_TRY(const bool autoprobe, pci::read_autoprobe(root_, request.pf));
        VFB_TRY(prepared.vfs, pci::create_vfs(root_, request.pf, request.vfs, kCreateTimeout));
        prepared.created = true;
        undo.add([this, pf = request.pf, autoprobe]() -> Result<> {
            VFB_CHECK(pci::remove_vfs(root_, pf));
            return pci::write_autoprobe(root_, pf, autoprobe);
        });
    }
    VFB_TRY(prepared.bindings, bindings_of(prepared.vfs));
    return {};
}

Result<PreparedPf> DeviceWork::prepare_pf(const PreparePfRequest& request) {
    PreparedPf prepared;
    Undo undo([](const Error&) {});  // what cannot be undone stands in the error that is returned
    wait_until_unlocked(request.pf);
    VFB_TRY(prepared.vfs, pci::list_vfs(root_, request.pf));
    Result<> switched;
    if (request.eswitch_mode) {
        switched = prepare_switch(request, undo);
        // Some drivers change it only without VFs, others (bnxt_en) only with some.
        const bool may_be_later = prepared.vfs.empty() && request.vfs > 0;
        if (!switched && (!may_be_later || switched.error().code == Code::unsupported))
            return undo.fail(std::move(switched).error());
    }
    if (auto done = prepare_netdev(request, undo); !done) return undo.fail(std::move(done).error());
    if (auto done = prepare_vfs(request, prepared, undo); !done)
        return undo.fail(std::move(done).error());
    if (!switched) switched = prepare_switch(request, undo);
    if (!switched) return undo.fail(std::move(switched).error());
    if (prepared.created) {
        auto limits = read_limits(request.pf, request.attributes);
        if (!limits) return undo.fail(std::move(limits).error());
        prepared.limits = std::move(*limits);
    }
    undo.commit();
    return prepared;
}

}  // namespace vfb::broker
