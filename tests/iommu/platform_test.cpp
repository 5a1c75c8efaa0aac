// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>

#include "machine.hpp"

namespace vfb::iommu::test {
namespace {

using testing::HasSubstr;

TEST(Platform, AMachineWithoutAnythingHasNothing) {
    const Machine machine;
    EXPECT_EQ(read_platform(machine.root()).value(), Platform{});
}

TEST(Platform, KindsAreToldByTheNamesOfTheUnits) {
    for (const auto& [unit, kind] :
         {std::pair{"dmar0", "intel"}, {"ivhd0", "amd"}, {"smmu3.0x0000000009050000", "smmu"}}) {
        const Machine machine;
        machine.write(std::string("sys/class/iommu/") + unit + "/x", "");
        const auto platform = read_platform(machine.root()).value();
        EXPECT_TRUE(platform.present);
        EXPECT_EQ(platform.kind, kind);
    }
    const Machine machine;
    machine.link("sys/class/iommu/0000:00:05.0/device/subsystem", "../../../../bus/virtio");
    EXPECT_EQ(read_platform(machine.root())->kind, "virtio");
}

TEST(Platform, InterruptRemappingShowsInTheFirstChipThatTells) {
    const auto remapping = [](const std::vector<std::string>& chips) {
        const Machine machine;
        for (std::size_t n = 0; n < chips.size(); ++n)
            machine.write("sys/kernel/irq/" + std::to_string(n) + "/chip_name", chips[n] + "\n");
        return read_platform(machine.root())->interrupt_remapping;
    };
    EXPECT_EQ(remapping({"XT-PIC", "DMAR-MSI", "IR-IO-APIC"}), true);
    EXPECT_EQ(remapping({"XT-PIC", "DMAR-MSI", "IO-APIC"}), false);
    EXPECT_EQ(remapping({"PCI-MSIX-0000:01:00.0"}), false);
    EXPECT_EQ(remapping({"IR-PCI-MSI-0000:00:1f.2"}), true);
    EXPECT_EQ(remapping({"GICv3", "ITS-PCI-MSI-0000:01:00.0"}), true);
    EXPECT_EQ(remapping({"GICv2", "GICv2m-PCI-MSI-0000:01:00.0"}), false);
    EXPECT_EQ(remapping({"XT-PIC", "\x01garbage", ""}), std::nullopt);
    EXPECT_EQ(remapping({}), std::nullopt);
}

TEST(Platform, UnsafeModesAreReadWhereTheirModulesAreLoaded) {
    const Machine machine;
    machine.write("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
    machine.write("sys/module/iommufd/parameters/allow_unsafe_interrupts", "N\n");
    machine.write("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
    const auto platform = read_platform(machine.root()).value();
    EXPECT_TRUE(platform.unsafe_interrupts_type1);
    EXPECT_FALSE(platform.unsafe_interrupts_iommufd);
    EXPECT_TRUE(platform.noiommu_enabled);
}

TEST(Platform, GroupsOfTheNoIommuModeDoNotCount) {
    Machine machine;
    machine.group(0, {"0000:01:00.0"});
    machine.write("sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
    EXPECT_FALSE(read_platform(machine.root())->groups);
    EXPECT_TRUE(read_group(machine.root(), 0)->noiommu);
    machine.group(1, {"0000:02:00.0"});
    EXPECT_TRUE(read_platform(machine.root())->groups);
}

TEST(Platform, TheHintNamesTheParameterThatKeepsRemappingOff) {
    const Machine machine;
    EXPECT_THAT(interrupt_remapping_hint(machine.root()), HasSubstr("firmware settings"));
    machine.write("proc/cmdline", "quiet intremap=off\n");
    EXPECT_THAT(interrupt_remapping_hint(machine.root()), HasSubstr("take intremap=off from"));
}

}  // namespace
}  // namespace vfb::iommu::test
