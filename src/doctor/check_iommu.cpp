// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "checks.hpp"
#include "machine_findings.hpp"

namespace vfb::doctor {

void check_firmware_tables(const Host& host, Report& report) {
    const Dir& sys = host.root.sys();
    constexpr std::array<std::pair<const char*, std::string_view>, 4> tables{{
        {"DMAR", "VT-d"},
        {"IVRS", "AMD-Vi"},
        {"IORT", "SMMU"},
        {"VIOT", "virtio-iommu"},
    }};
    for (const auto& [table, what] : tables)
        if (sys.exists(fmt::format("firmware/acpi/tables/{}", table)))
            return report.pass(
                fmt::format("the firmware has an IOMMU ({}, table {})", what, table));
    if (host.platform.present)
        return report.pass("the firmware has no table of IOMMUs, but the kernel found one");
    if (!sys.exists("firmware/acpi/tables"))
        return report.note("there are no tables of the firmware that could name an IOMMU",
                           "a machine with a device tree names its IOMMU there");
    report.fail("the firmware shows no IOMMU (none of the tables DMAR, IVRS, IORT, VIOT)",
                iommu::iommu_hint(host.root));
}

void check_iommu(const Host& host, Report& report) {
    if (!host.platform.present)
        return report.fail("the kernel uses no IOMMU: no function can be isolated",
                           iommu::iommu_hint(host.root));
    report.pass(host.platform.kind.empty()
                    ? "the kernel uses the IOMMU"
                    : fmt::format("the kernel uses the IOMMU ({})", host.platform.kind));
}

void check_iommu_groups(const Host& host, Report& report) {
    const auto real = std::ranges::count_if(
        host.groups, [](const iommu::Group& group) { return !group.noiommu; });
    if (real == 0) return report.fail("there are no IOMMU groups", iommu::iommu_hint(host.root));
    std::vector<std::string> outside;
    for (const auto& function : host.functions)
        if (!function.group && is_ours(host, function)) outside.push_back(function.address.str());
    if (!outside.empty())
        return report.warn(fmt::format("no IOMMU covers {}", fmt::join(outside, ", ")),
                           "vfbroker explain says more about each");
    report.pass(fmt::format("{} IOMMU groups", real));
}

void check_interrupt_remapping(const Host& host, Report& report) {
    report_interrupts(host.platform, iommu::interrupt_remapping_hint(host.root), report);
}

void check_unsafe_options(const Host& host, Report& report) {
    report_unsafe_options(host.platform, report);
}

}  // namespace vfb::doctor
