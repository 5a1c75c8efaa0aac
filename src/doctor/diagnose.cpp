// SPDX-License-Identifier: GPL-2.0-or-later
//
// The table of checks, in the order in which they are told: the configuration, without which the
// others are of no use, and then from the firmware up to the daemon.
#include <algorithm>
#include <array>

#include "checks.hpp"

namespace vfb::doctor {
namespace {

struct HostCheck {
    std::string_view name;
    void (*run)(const Host&, Report&);
    std::string_view needs;  // of Host::unread; empty: nothing that could be missing
};

constexpr std::array<HostCheck, 25> kHostChecks{{
    {"configuration", check_configuration, ""},
    {"firmware-tables", check_firmware_tables, ""},
    {"iommu", check_iommu, "iommu"},
    {"iommu-groups", check_iommu_groups, "iommu-groups"},
    {"interrupt-remapping", check_interrupt_remapping, "iommu"},
    {"unsafe-options", check_unsafe_options, "iommu"},
    {"modules", check_modules, ""},
    {"backend", check_backend, ""},
    {"lockdown", check_lockdown, ""},
    {"sriov", check_sriov, "sriov"},
    {"vf-bars", check_vf_bars, "sriov"},
    {"ari", check_ari, "sriov"},
    {"reset", check_reset, "sriov"},
    {"kernel-messages", check_kernel_messages, "kernel-messages"},
    {"memlock-units", check_memlock_units, ""},
    {"memlock-guests", check_memlock_guests, ""},
    {"network-manager", check_network_manager, "sriov"},
    {"libvirt", check_libvirt, "sriov"},
    {"driverctl", check_driverctl, "sriov"},
    {"vfio-pci-ids", check_vfio_pci_ids, "sriov"},
    {"sriov-operator", check_sriov_operator, ""},
    {"daemon", check_daemon, ""},
    {"functions", check_functions, ""},
    {"drift", check_drift, ""},
    {"unit", check_unit, ""},
}};

}  // namespace

bool is_ours(const Host& host, const pci::Function& function) {
    if (!function.is_pf() && !function.is_vf()) return false;
    if (host.daemon == nullptr) return true;
    const auto& pf = function.is_vf() ? *function.physfn : function.address;
    return std::ranges::any_of(host.daemon->pfs,
                               [&](const auto& known) { return known.address == pf; });
}

const Process* find_process(const Host& host, std::string_view name) {
    const auto found = std::ranges::find(host.processes, name, &Process::name);
    return found == host.processes.end() ? nullptr : &*found;
}

std::vector<Finding> diagnose(const Host& host) {
    std::vector<Finding> all;
    for (const HostCheck& check : kHostChecks) {
        Report report{std::string(check.name), "host", all};
        const auto unread = host.unread.find(std::string(check.needs));
        if (unread != host.unread.end())
            report.note(unread->second.message(), unread->second.hint.empty()
                                                      ? "root may be able to read it"
                                                      : unread->second.hint);
        else
            check.run(host, report);
    }
    return all;
}

}  // namespace vfb::doctor
