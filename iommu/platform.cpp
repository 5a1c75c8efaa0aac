// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the machine as a whole offers: IOMMU, interrupt remapping, unsafe modes.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "iommu/groups.hpp"

namespace vfb::iommu {
namespace {

Result<std::vector<std::string>> list_if_there(const Dir& dir, const std::string& name) {
    auto names = dir.list(name);
    if (!names && names.error().errnum == ENOENT) return {};
    return names;
}

// The names that the drivers give to their units; a virtio one is named by its PCI function.
std::string kind_of(const Dir& sys, const std::string& unit) {
    if (unit.starts_with("dmar")) return "intel";
    if (unit.starts_with("ivhd")) return "amd";
    if (unit.starts_with("smmu")) return "smmu";
    const auto bus = sys.link_name(fmt::format("class/iommu/{}/device/subsystem", unit));
    return bus && bus->value_or("") == "virtio" ? "virtio" : "";
}

// What the name of an interrupt chip says of remapping; nothing for chips that are the same with
// and without it (XT-PIC, DMAR-MSI).
std::optional<bool> remaps(std::string_view chip) {
    if (chip.starts_with("IR-")) return true;
    if (chip.starts_with("IO-APIC") || chip.starts_with("PCI-MSI")) return false;
    if (chip.starts_with("ITS-")) return true;
    if (chip.starts_with("GICv2m")) return false;
    return std::nullopt;
}

// The kernel turns remapping on for all interrupts or for none, so that the first chip that tells
// is enough.
Result<std::optional<bool>> read_interrupt_remapping(const Dir& sys) {
    VFB_TRY(const auto interrupts, list_if_there(sys, "kernel/irq"));
    for (const std::string& interrupt : interrupts) {
        // Interrupts come and go; one that is gone tells nothing.
        const auto chip = sys.read("kernel/irq/" + interrupt + "/chip_name");
        if (!chip) continue;
        if (const auto answer = remaps(*chip)) return answer;
    }
    return std::nullopt;
}

// Absent where the module is not loaded: the default of all of them is no.
Result<bool> read_parameter(const Dir& sys, const std::string& module, const std::string& name) {
    VFB_TRY(const auto text, sys.read_optional("module/" + module + "/parameters/" + name));
    const std::string value = text.value_or("");
    return value == "Y" || value == "1";
}

}  // namespace

Result<Platform> read_platform(const SysRoot& root) {
    const Dir& sys = root.sys();
    Platform platform;
    VFB_TRY(const auto units, list_if_there(sys, "class/iommu"));
    platform.present = !units.empty();
    for (const std::string& unit : units)
        if (platform.kind.empty()) platform.kind = kind_of(sys, unit);
    VFB_TRY(const auto groups, list_if_there(sys, "kernel/iommu_groups"));
    platform.groups = std::ranges::any_of(groups, [&](const std::string& number) {
        return sys.read("kernel/iommu_groups/" + number + "/name").value_or("") != "vfio-noiommu";
    });
    VFB_TRY(platform.interrupt_remapping, read_interrupt_remapping(sys));
    VFB_TRY(platform.unsafe_interrupts_type1,
            read_parameter(sys, "vfio_iommu_type1", "allow_unsafe_interrupts"));
    VFB_TRY(platform.unsafe_interrupts_iommufd,
            read_parameter(sys, "iommufd", "allow_unsafe_interrupts"));
    VFB_TRY(platform.noiommu_enabled, read_parameter(sys, "vfio", "enable_unsafe_noiommu_mode"));
    return platform;
}

}  // namespace vfb::iommu
