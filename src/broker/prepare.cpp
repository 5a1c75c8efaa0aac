// SPDX-License-Identifier: GPL-2.0-or-later
//
// The half of DeviceWork that makes a PF what its configuration says.
#include <fmt/format.h>

#include "broker/device_work.hpp"
#include "pci/sriov.hpp"
#include "timeouts.hpp"

namespace vfb::broker {
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
    if (ifindex == 0)
        return fail(Code::unsupported, fmt::format("set the MTU of {}", pf), pf.str(),
                    "it has no network interface", "take mtu out of its configuration");
    const std::scoped_lock lock(nic_mutex_);
    VFB_TRY(auto session, nic::Session::open());
    return session.set_mtu(ifindex, mtu);
}

Result<> DeviceWork::prepare_switch(const PreparePfRequest& request, PreparedPf& prepared,
                                    Undo& undo) {
    VFB_TRY(const auto before, set_eswitch_mode(request.pf, *request.eswitch_mode));
    prepared.eswitch_mode = before;
    if (before != *request.eswitch_mode)
        undo.add([this, pf = request.pf, before]() -> Result<> {
            VFB_CHECK(set_eswitch_mode(pf, before));
            return {};
        });
    return {};
}

Result<> DeviceWork::prepare_netdev(const PreparePfRequest& request, PreparedPf& prepared,
                                    Undo& undo) {
    if (request.mtu) {
        VFB_TRY(const auto before, set_mtu(request.pf, *request.mtu));
        prepared.mtu = before;
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
    prepared.was_up = was_up;
    if (!was_up) undo.add([this, pf = request.pf] { return set_down_unused(pf); });
    return {};
}

Result<> DeviceWork::prepare_vfs(const PreparePfRequest& request, PreparedPf& prepared,
                                 Undo& undo) {
    if (prepared.vfs.empty() && request.vfs > 0) {
        VFB_TRY(prepared.autoprobe, pci::read_autoprobe(root_, request.pf));
        VFB_TRY(prepared.vfs, pci::create_vfs(root_, request.pf, request.vfs, kCreateTimeout));
        prepared.created = true;
        undo.add([this, pf = request.pf, autoprobe = prepared.autoprobe]() -> Result<> {
            VFB_CHECK(pci::remove_vfs(root_, pf));
            return pci::write_autoprobe(root_, pf, autoprobe);
        });
    }
    for (const auto& vf : prepared.vfs) {
        VFB_TRY(auto binding, pci::current_binding(root_, vf));
        prepared.bindings.push_back(std::move(binding));
    }
    return {};
}

Result<PreparedPf> DeviceWork::prepare_pf(const PreparePfRequest& request) {
    PreparedPf prepared;
    Undo undo([](const Error&) {});  // what cannot be undone stands in the error that is returned
    // A driver that is bound may be probing still, and there is no network interface before that
    // ends. The kernel locks the device meanwhile, and this reading waits for the lock.
    (void)root_.sys().read(fmt::format("bus/pci/devices/{}/sriov_numvfs", request.pf));
    VFB_TRY(prepared.vfs, pci::list_vfs(root_, request.pf));
    Result<> switched;
    if (request.eswitch_mode) {
        switched = prepare_switch(request, prepared, undo);
        // Some drivers change it only without VFs, others (bnxt_en) only with some.
        const bool may_be_later = prepared.vfs.empty() && request.vfs > 0;
        if (!switched && (!may_be_later || switched.error().code == Code::unsupported))
            return undo.fail(std::move(switched).error());
    }
    if (auto done = prepare_netdev(request, prepared, undo); !done)
        return undo.fail(std::move(done).error());
    if (auto done = prepare_vfs(request, prepared, undo); !done)
        return undo.fail(std::move(done).error());
    if (!switched) switched = prepare_switch(request, prepared, undo);
    if (!switched) return undo.fail(std::move(switched).error());
    undo.commit();
    return prepared;
}

}  // namespace vfb::broker
