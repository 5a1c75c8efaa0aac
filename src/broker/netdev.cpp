// SPDX-License-Identifier: GPL-2.0-or-later
//
// The part of DeviceWork that makes a network interface of a VF.
#include <fmt/format.h>

#include <chrono>

#include "base/deadline.hpp"
#include "broker/device_work.hpp"
#include "pci/sriov.hpp"
#include "pci/uevents.hpp"

namespace vfb::broker {
namespace {

using namespace std::chrono_literals;

// Some drivers (iavf) have to hear from the PF's first.
constexpr auto kNetdevTimeout = 15s;

std::string operation_of(const pci::Address& vf) {
    return fmt::format("make a network interface of {}", vf);
}

Result<std::string> wait_for_netdev(const Dir& device, const pci::Address& vf,
                                    pci::UeventMonitor& monitor) {
    const Deadline deadline(kNetdevTimeout);
    for (;;) {
        if (device.exists("net")) {
            VFB_TRY(const auto names, device.list("net"));
            if (!names.empty()) return names.front();
        }
        VFB_TRY(const auto event, monitor.wait(deadline));
        if (!event)
            return fail(Code::timeout, operation_of(vf), vf.str(),
                        fmt::format("its driver made none within {} s", kNetdevTimeout / 1s),
                        "dmesg shows what the driver said; some want the physical function up");
    }
}

}  // namespace

Result<> DeviceWork::probe(const pci::Address& pf, const pci::Address& vf) {
    // The kernel's own choice of a driver needs the PF's permission, for that moment.
    const std::scoped_lock lock(probe_mutex_);
    VFB_TRY(const bool autoprobe, pci::read_autoprobe(root_, pf));
    if (!autoprobe) VFB_CHECK(pci::write_autoprobe(root_, pf, true));
    // It succeeds also when no driver took it.
    auto probed = root_.sys().write("bus/pci/drivers_probe", vf.str());
    if (!autoprobe) VFB_CHECK(pci::write_autoprobe(root_, pf, false));
    return probed;
}

Result<std::string> DeviceWork::lend_netdev(const pci::Address& pf, const pci::Address& vf) {
    VFB_TRY(const auto device, root_.sys().open_dir("bus/pci/devices/" + vf.str()));
    VFB_TRY(const auto before, pci::current_binding(root_, vf));
    VFB_TRY(auto monitor, pci::UeventMonitor::open());
    Undo undo([](const Error&) {});
    undo.add([&] { return pci::restore(root_, vf, before); });
    if (auto freed = pci::restore(root_, vf, {}); !freed)
        return undo.fail(std::move(freed).error());
    if (auto probed = probe(pf, vf); !probed) return undo.fail(std::move(probed).error());
    const auto driver = device.link_name("driver");
    if (!driver) return undo.fail(driver.error());
    if (!*driver || pci::is_vfio_driver(*driver)) {
        const auto alias = device.read("modalias");
        return undo.fail(fail(Code::unsupported, operation_of(vf), vf.str(),
                              "no driver of a network interface took it",
                              fmt::format("load it, and at boot by modules-load.d(5): modprobe {}",
                                          alias ? *alias : "its driver"))
                             .error());
    }
    auto name = wait_for_netdev(device, vf, monitor);
    if (!name) return undo.fail(std::move(name).error());
    undo.commit();
    return name;
}

}  // namespace vfb::broker
