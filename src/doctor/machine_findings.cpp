// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine_findings.hpp"

#include <fmt/format.h>

#include <array>

namespace vfb::doctor {

void report_interrupts(const iommu::Platform& platform, const std::string& hint, Report& report) {
    if (platform.interrupt_remapping == true) return report.pass("interrupts are remapped");
    if (!platform.interrupt_remapping)
        return report.note("whether interrupts are remapped cannot be told on this machine", hint);
    if (platform.unsafe_interrupts_type1 || platform.unsafe_interrupts_iommufd)
        return report.warn("interrupts are not remapped, and the operator has accepted that", hint);
    report.fail(
        "interrupts are not remapped: a guest could raise any interrupt of the host by writing to "
        "memory",
        hint);
}

void report_unsafe_options(const iommu::Platform& platform, Report& report) {
    const std::array<std::pair<bool, std::string_view>, 3> options{{
        {platform.unsafe_interrupts_type1, "vfio_iommu_type1.allow_unsafe_interrupts"},
        {platform.unsafe_interrupts_iommufd, "iommufd.allow_unsafe_interrupts"},
        {platform.noiommu_enabled, "vfio.enable_unsafe_noiommu_mode"},
    }};
    for (const auto& [set, name] : options)
        if (set)
            report.warn(fmt::format("{} is set", name),
                        "take it out of modprobe.d and the kernel command line, unless every "
                        "guest is trusted with this machine");
    if (report.empty()) report.pass("no option that gives up isolation is set");
}

void report_backend(const vfio::Support& support, Report& report) {
    if (support.iommufd) return report.pass("VFIO is reached by iommufd");
    if (support.group)
        return report.note(
            fmt::format("VFIO is reached by the group backend: {}", support.iommufd_reason),
            "nothing has to be done: both backends serve. Passing descriptors to QEMU needs "
            "iommufd");
    const auto backend = support.preferred();
    report.fail(backend.error().reason, backend.error().hint);
}

}  // namespace vfb::doctor
