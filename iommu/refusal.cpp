// SPDX-License-Identifier: GPL-2.0-or-later
#include "refusal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace vfb::iommu {
namespace {

constexpr std::string_view kReadDmesg =
    "dmesg | grep -e DMAR -e AMD-Vi -e IOMMU says what happened";

Error refuse(const pci::Address& address, std::string reason, std::string hint) {
    return Error{.code = Code::not_viable,
                 .errnum = 0,
                 .operation = "isolate " + address.str(),
                 .subject = address.str(),
                 .reason = std::move(reason),
                 .hint = std::move(hint),
                 .cause = nullptr};
}

// A kernel parameter that keeps the IOMMU off, as it stands on the command line.
std::string switched_off_by(const SysRoot& root) {
    const std::string line = " " + root.proc().read("cmdline").value_or("") + " ";
    constexpr std::array<std::string_view, 3> off{"iommu=off", "intel_iommu=off", "amd_iommu=off"};
    for (const std::string_view parameter : off)
        if (line.contains(fmt::format(" {} ", parameter))) return std::string(parameter);
    return {};
}

// Members that can be given up: no interface up, and no PF whose VF it is about (unbinding it
// removes the VFs).
bool can_be_freed(const Functions& functions, const pci::Address& address,
                  const std::vector<Obstacle>& obstacles) {
    const auto function = functions.find(address);
    return std::ranges::all_of(obstacles, [&](const Obstacle& obstacle) {
        return obstacle.netdevs.empty() &&
               (function == functions.end() || function->second.physfn != obstacle.address);
    });
}

}  // namespace

// The firmware's table of IOMMUs is there when the firmware has them on, whatever the kernel does.
std::string iommu_hint(const SysRoot& root) {
    if (const std::string parameter = switched_off_by(root); !parameter.empty())
        return fmt::format("take {} from the kernel command line and reboot", parameter);
    if (root.sys().exists("firmware/acpi/tables/DMAR"))
        return fmt::format(
            "the firmware has VT-d on, but the kernel does not use it: boot with intel_iommu=on; "
            "{}",
            kReadDmesg);
    if (root.sys().exists("firmware/acpi/tables/IVRS"))
        return fmt::format("the firmware has AMD-Vi on, but the kernel does not use it: {}",
                           kReadDmesg);
    const std::string cpu = root.proc().read("cpuinfo").value_or("");
    if (cpu.contains("GenuineIntel"))
        return fmt::format("turn VT-d on in the firmware settings and boot with intel_iommu=on; {}",
                           kReadDmesg);
    if (cpu.contains("AuthenticAMD") || cpu.contains("HygonGenuine"))
        return fmt::format(
            "turn AMD-Vi (IOMMU) on in the firmware settings; Linux then uses it without a "
            "parameter; {}",
            kReadDmesg);
    return fmt::format(
        "turn the IOMMU on in the firmware settings, or give the virtual machine one; {}",
        kReadDmesg);
}

std::string describe(const Obstacle& obstacle) {
    if (obstacle.netdevs.empty()) return fmt::format("{} ({})", obstacle.address, obstacle.driver);
    return fmt::format("{} ({}, in use by {})", obstacle.address, obstacle.driver,
                       fmt::join(obstacle.netdevs, " and "));
}

std::string describe(const std::vector<Obstacle>& obstacles) {
    // 63 sister VFs in one sentence help nobody; the verdict has them all.
    constexpr std::size_t enough = 8;
    std::vector<std::string> texts;
    for (const Obstacle& obstacle : obstacles) {
        if (texts.size() == enough) {
            texts.push_back(fmt::format("{} more", obstacles.size() - enough));
            break;
        }
        texts.push_back(describe(obstacle));
    }
    return fmt::format("{}", fmt::join(texts, ", "));
}

std::string acs_hint(const std::vector<AcsGap>& gaps) {
    std::vector<std::string> turned_off;
    for (const AcsGap& gap : gaps)
        if (gap.capability) turned_off.push_back(gap.bridge.str());
    // `111x1`: UF CR RR TB SV, the kernel's order
    // (Documentation/admin-guide/kernel-parameters.txt).
    if (!gaps.empty() && turned_off.size() == gaps.size())
        return fmt::format(
            "turn ACS on in the firmware settings, or from Linux 6.12 on boot with "
            "pci=config_acs=111x1@{}",
            fmt::join(turned_off, ";111x1@"));
    return "move the card to a slot below ports that have ACS, often those of the CPU, or turn ACS "
           "on in the firmware settings";
}

Error refuse_without_group(const SysRoot& root, const Platform& platform,
                           const pci::Address& address) {
    if (!platform.present && !platform.groups)
        return refuse(address, "this machine has no IOMMU in use", iommu_hint(root));
    return refuse(
        address, "the IOMMU does not cover it: it is in no group",
        fmt::format("the firmware's tables or a kernel parameter leave it out; {}", kReadDmesg));
}

Error refuse_noiommu(const SysRoot& root, const Platform& platform, const pci::Address& address) {
    return refuse(address,
                  "its group was made by VFIO's no-IOMMU mode, where a guest can reach all memory "
                  "of the host",
                  platform.present ? "set vfio.enable_unsafe_noiommu_mode=0 and bind it again"
                                   : iommu_hint(root));
}

Error refuse_shared_group(const Functions& functions, const pci::Address& address,
                          const Verdict& verdict) {
    std::string reason = fmt::format("group {} also holds {}", verdict.group.value_or(0),
                                     describe(verdict.obstacles));
    std::vector<std::string> gaps;
    gaps.reserve(verdict.gaps.size());
    for (const AcsGap& gap : verdict.gaps) gaps.push_back(describe(gap));
    if (!gaps.empty()) reason += fmt::format(": {}", fmt::join(gaps, ", and "));
    std::string hint = acs_hint(verdict.gaps);
    if (can_be_freed(functions, address, verdict.obstacles)) {
        std::vector<std::string> names;
        names.reserve(verdict.obstacles.size());
        for (const Obstacle& obstacle : verdict.obstacles) names.push_back(obstacle.address.str());
        hint = fmt::format("if the host can do without {}, lease the whole group together; else {}",
                           fmt::join(names, ", "), hint);
    }
    if (verdict.gaps_unknown && gaps.empty())
        hint += "; which bridge is at fault can be read with CAP_SYS_ADMIN only";
    return refuse(address, std::move(reason), std::move(hint));
}

Error refuse_unsafe_interrupts(const SysRoot& root, const pci::Address& address) {
    return refuse(address,
                  "interrupts are not remapped: a guest could raise any interrupt of the host by "
                  "writing to memory",
                  interrupt_remapping_hint(root));
}

std::string interrupt_remapping_hint(const SysRoot& root) {
    const std::string line = " " + root.proc().read("cmdline").value_or("") + " ";
    std::string cure = "turn interrupt remapping on in the firmware settings (with VT-d or AMD-Vi)";
    for (const std::string_view parameter : {"intremap=off", "nointremap"})
        if (line.contains(fmt::format(" {} ", parameter)))
            cure = fmt::format("take {} from the kernel command line and reboot", parameter);
    return fmt::format(
        "{}; dmesg | grep -i remap says what happened; to accept the risk, write 1 to {} (group "
        "backend) or {} (iommufd)",
        cure, root.sys().path("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"),
        root.sys().path("module/iommufd/parameters/allow_unsafe_interrupts"));
}

}  // namespace vfb::iommu
