// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "machine.hpp"

namespace vfb::iommu::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A card with two functions, 03:00.0 (igb, interface eth1) and 03:01.0 (free), behind a switch
// whose downstream port has no ACS.
void add_switch(Machine& machine) {
    machine.iommu();
    machine.add_bridge("0000:00:02.0", kRootPort, Acs{});
    auto& up = machine.add_bridge("0000:01:00.0", kUpstream);
    up.parent = at("0000:00:02.0");
    auto& down = machine.add_bridge("0000:02:00.0", kDownstream);
    down.parent = at("0000:01:00.0");
    down.vendor_name = "Texas Instruments";
    down.device_name = "XIO3130 PCI Express Switch (Downstream)";
    auto& taken = machine.add("0000:03:00.0", kEndpoint);
    taken.parent = at("0000:02:00.0");
    taken.driver = "igb";
    taken.netdevs = {{.name = "eth1", .ifindex = 3, .mac = {}, .permanent_mac = {}, .up = true}};
    machine.add("0000:03:01.0", kEndpoint).parent = at("0000:02:00.0");
    machine.group(5, {"0000:02:00.0", "0000:03:00.0", "0000:03:01.0"});
}

TEST(Judge, AFunctionAloneBehindARootPortIsViable) {
    Machine machine;
    machine.iommu();
    machine.add_bridge("0000:00:02.0", kRootPort, Acs{});
    auto& function = machine.add("0000:01:00.0", kEndpoint);
    function.parent = at("0000:00:02.0");
    function.driver = "igb";  // its own driver is not in the way
    machine.group(1, {"0000:00:02.0"});
    machine.group(2, {"0000:01:00.0"});
    const auto verdict = machine.judge("0000:01:00.0");
    EXPECT_TRUE(verdict.viable);
    EXPECT_FALSE(verdict.refusal.has_value());
    EXPECT_EQ(verdict.group, 2U);
    EXPECT_THAT(verdict.members, ElementsAre(at("0000:01:00.0")));
    EXPECT_THAT(verdict.obstacles, IsEmpty());
}

TEST(Judge, ASharedGroupIsRefusedWithMembersAndBridge) {
    Machine machine;
    add_switch(machine);
    const auto verdict = machine.judge("0000:03:01.0");
    EXPECT_FALSE(verdict.viable);
    EXPECT_THAT(verdict.members, ElementsAre(at("0000:03:00.0"), at("0000:03:01.0")));
    EXPECT_THAT(
        verdict.obstacles,
        ElementsAre(Obstacle{.address = at("0000:03:00.0"), .driver = "igb", .netdevs = {"eth1"}}));
    ASSERT_TRUE(verdict.refusal.has_value());
    EXPECT_EQ(verdict.refusal->code, Code::not_viable);
    EXPECT_EQ(verdict.refusal->subject, "0000:03:01.0");
    EXPECT_EQ(verdict.refusal->message(),
              "cannot isolate 0000:03:01.0: group 5 also holds 0000:03:00.0 (igb, in use by eth1): "
              "bridge 0000:02:00.0 (Texas Instruments XIO3130 PCI Express Switch (Downstream)) has "
              "no ACS");
    EXPECT_EQ(verdict.refusal->hint,
              "move the card to a slot below ports that have ACS, often those of the CPU, or turn "
              "ACS on in the firmware settings");
}

TEST(Judge, AnIdleMemberCanBeLeasedAlong) {
    Machine machine;
    add_switch(machine);
    machine.functions[at("0000:03:00.0")].netdevs[0].up = false;
    const auto verdict = machine.judge("0000:03:01.0");
    EXPECT_FALSE(verdict.viable);
    EXPECT_THAT(verdict.refusal->message(), HasSubstr("0000:03:00.0 (igb): bridge"));
    EXPECT_THAT(verdict.refusal->hint,
                HasSubstr("if the host can do without 0000:03:00.0, lease the whole group"));
}

TEST(Judge, ThePfOfAVfIsNoMemberToBeGivenUp) {
    Machine machine;
    add_switch(machine);
    machine.functions[at("0000:03:00.0")].netdevs.clear();
    machine.functions[at("0000:03:01.0")].physfn = at("0000:03:00.0");
    EXPECT_THAT(machine.judge("0000:03:01.0").refusal->hint,
                testing::Not(HasSubstr("can do without")));
}

TEST(Judge, AControlTurnedOffCanBeTurnedOn) {
    Machine machine;
    add_switch(machine);
    machine.add_bridge("0000:02:00.0", kDownstream, Acs{.capability = 0x1d, .control = 0}).parent =
        at("0000:01:00.0");
    EXPECT_THAT(machine.judge("0000:03:01.0").refusal->hint,
                HasSubstr("boot with pci=config_acs=111x1@0000:02:00.0"));
}

TEST(Judge, ClaimedMembersAreNoObstacles) {
    Machine machine;
    add_switch(machine);
    const auto verdict = machine.judge("0000:03:01.0", {"0000:03:00.0"});
    EXPECT_TRUE(verdict.viable);
    EXPECT_THAT(verdict.obstacles, IsEmpty());
    EXPECT_THAT(verdict.members, ElementsAre(at("0000:03:00.0"), at("0000:03:01.0")));
    EXPECT_EQ(verdict.gaps.size(), 1U) << "why they are to be leased together";
}

TEST(Judge, DriversThatLeaveDmaAloneAreNoObstacles) {
    for (const char* driver : {"vfio-pci", "mlx5_vfio_pci", "hisi_acc_vfio_pci", "pci-stub"}) {
        Machine machine;
        add_switch(machine);
        machine.functions[at("0000:03:00.0")].driver = driver;
        EXPECT_TRUE(machine.judge("0000:03:01.0").viable) << driver;
    }
    Machine machine;
    add_switch(machine);
    machine.functions[at("0000:03:00.0")].driver = "pci-pf-stub";
    EXPECT_FALSE(machine.judge("0000:03:01.0").viable);
    machine.functions[at("0000:03:00.0")].driver.reset();
    EXPECT_TRUE(machine.judge("0000:03:01.0").viable);
}

TEST(Judge, AMemberThatTheInventoryDoesNotHaveYetIsAnObstacleToo) {
    Machine machine;
    add_switch(machine);
    machine.functions.erase(at("0000:03:00.0"));
    machine.functions.erase(at("0000:02:00.0"));
    machine.write("sys/bus/pci/devices/0000:02:00.0/class", "0x060400\n");
    machine.write("sys/bus/pci/devices/0000:03:00.0/class", "0x020000\n");
    machine.link("sys/bus/pci/devices/0000:03:00.0/driver", "../../../../bus/pci/drivers/igb");
    const auto verdict = machine.judge("0000:03:01.0");
    EXPECT_THAT(verdict.members, ElementsAre(at("0000:03:00.0"), at("0000:03:01.0")));
    EXPECT_THAT(verdict.refusal->message(), HasSubstr("also holds 0000:03:00.0 (igb)"));
}

TEST(Judge, AMemberThatIsGoneAgainIsNone) {
    Machine machine;
    add_switch(machine);
    machine.functions.erase(at("0000:03:00.0"));
    const auto verdict = machine.judge("0000:03:01.0");
    EXPECT_TRUE(verdict.viable);
    EXPECT_THAT(verdict.members, ElementsAre(at("0000:03:01.0")));
}

TEST(Judge, ALongListIsCutInTheTextOnly) {
    Machine machine;
    machine.iommu();
    std::vector<std::string> members;
    for (int n = 0; n < 12; ++n) {
        members.push_back(fmt::format("0000:03:{:02x}.0", n));
        machine.add(members.back(), kEndpoint).driver = "igbvf";
    }
    machine.group(5, members);
    const auto verdict = machine.judge(members[0]);
    EXPECT_EQ(verdict.obstacles.size(), 11U);
    EXPECT_THAT(verdict.refusal->message(), HasSubstr("0000:03:08.0 (igbvf), 3 more"));
}

TEST(Judge, BehindAPciBridgeNothingIsIsolated) {
    Machine machine;
    machine.iommu();
    machine.add_bridge("0000:05:00.0", kPcieToPci).device_name = "PCIe-PCI bridge";
    machine.add("0000:06:00.0", std::nullopt).parent = at("0000:05:00.0");
    auto& other = machine.add("0000:06:01.0", std::nullopt);
    other.parent = at("0000:05:00.0");
    other.driver = "snd_ens1371";
    machine.group(8, {"0000:05:00.0", "0000:06:00.0", "0000:06:01.0"});
    EXPECT_EQ(machine.judge("0000:06:00.0").refusal->message(),
              "cannot isolate 0000:06:00.0: group 8 also holds 0000:06:01.0 (snd_ens1371): bridge "
              "0000:05:00.0 (PCIe-PCI bridge) leads to conventional PCI, where nothing can be "
              "isolated");
}

TEST(Judge, WithoutAnIommuItSaysHowToTurnItOn) {
    const auto hint = [](const auto& prepare) {
        Machine machine;
        machine.add("0000:01:00.0", kEndpoint);
        prepare(machine);
        const auto verdict = machine.judge("0000:01:00.0");
        EXPECT_FALSE(verdict.viable);
        EXPECT_EQ(verdict.refusal->message(),
                  "cannot isolate 0000:01:00.0: this machine has no IOMMU in use");
        EXPECT_THAT(verdict.refusal->hint, testing::AnyOf(HasSubstr("dmesg"), HasSubstr("reboot")));
        return verdict.refusal->hint;
    };
    const auto cpu = [](const std::string& vendor) {
        return [=](Machine& m) { m.write("proc/cpuinfo", "vendor_id\t: " + vendor + "\n"); };
    };
    EXPECT_THAT(hint(cpu("GenuineIntel")), HasSubstr("turn VT-d on"));
    EXPECT_THAT(hint(cpu("GenuineIntel")), HasSubstr("intel_iommu=on"));
    EXPECT_THAT(hint(cpu("AuthenticAMD")), HasSubstr("turn AMD-Vi (IOMMU) on"));
    EXPECT_THAT(hint([](Machine&) {}), HasSubstr("turn the IOMMU on"));
    EXPECT_THAT(hint([](Machine& m) { m.write("sys/firmware/acpi/tables/DMAR", "x"); }),
                HasSubstr("the firmware has VT-d on"));
    EXPECT_THAT(hint([](Machine& m) { m.write("sys/firmware/acpi/tables/IVRS", "x"); }),
                HasSubstr("the firmware has AMD-Vi on"));
    EXPECT_THAT(hint([](Machine& m) { m.write("proc/cmdline", "quiet intel_iommu=off\n"); }),
                HasSubstr("take intel_iommu=off from"));
}

TEST(Judge, AFunctionThatTheIommuLeavesOutIsRefused) {
    Machine machine;
    machine.iommu();
    machine.add("0000:01:00.0", kEndpoint);
    machine.group(1, {"0000:02:00.0"});
    const auto verdict = machine.judge("0000:01:00.0");
    EXPECT_FALSE(verdict.viable);
    EXPECT_THAT(verdict.refusal->message(), HasSubstr("it is in no group"));
}

TEST(Judge, TheNoIommuModeIsNeverUsed) {
    Machine machine;
    machine.add("0000:01:00.0", kEndpoint).driver = "vfio-pci";
    machine.group(0, {"0000:01:00.0"});
    machine.write("sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
    const auto verdict = machine.judge("0000:01:00.0");
    EXPECT_FALSE(verdict.viable);
    EXPECT_THAT(verdict.refusal->message(), HasSubstr("no-IOMMU mode"));
}

TEST(Judge, WithoutInterruptRemappingItNeedsTheOperatorsWord) {
    Machine machine;
    machine.iommu("IO-APIC");
    machine.add("0000:01:00.0", kEndpoint);
    machine.group(1, {"0000:01:00.0"});
    const auto verdict = machine.judge("0000:01:00.0");
    EXPECT_FALSE(verdict.viable);
    EXPECT_EQ(verdict.refusal->code, Code::not_viable);
    EXPECT_THAT(verdict.refusal->message(), HasSubstr("interrupts are not remapped"));
    EXPECT_THAT(verdict.refusal->hint, HasSubstr("allow_unsafe_interrupts"));

    for (const char* module : {"vfio_iommu_type1", "iommufd"}) {
        const std::string name =
            std::string("sys/module/") + module + "/parameters/allow_unsafe_interrupts";
        machine.write(name, "Y\n");
        EXPECT_TRUE(machine.judge("0000:01:00.0").viable) << module;
        machine.write(name, "N\n");
    }
}

TEST(Judge, WhereRemappingCannotBeToldItIsNotDoubted) {
    Machine machine;
    machine.iommu("XT-PIC");
    machine.add("0000:01:00.0", kEndpoint);
    machine.group(1, {"0000:01:00.0"});
    EXPECT_TRUE(machine.judge("0000:01:00.0").viable);
}

TEST(Judge, WhatIsNotThereIsNotFound) {
    Machine machine;
    machine.iommu();
    const auto unknown = judge(machine.root(), machine.functions, at("0000:01:00.0"));
    EXPECT_EQ(unknown.error().code, Code::not_found);

    machine.add("0000:01:00.0", kEndpoint).group = 4;
    EXPECT_EQ(judge(machine.root(), machine.functions, at("0000:01:00.0")).error().code,
              Code::not_found);
    machine.group(4, {"0000:02:00.0"});
    const auto moved = judge(machine.root(), machine.functions, at("0000:01:00.0"));
    EXPECT_EQ(moved.error().code, Code::not_found);
    EXPECT_THAT(moved.error().message(), HasSubstr("it has left group 4"));
}

TEST(Judge, GarbageIsAnErrorAndNoVerdict) {
    Machine machine;
    machine.iommu();
    machine.add("0000:01:00.0", kEndpoint);
    machine.group(1, {"0000:01:00.0", "0000:02:00.0"});
    machine.write("sys/bus/pci/devices/0000:02:00.0/class", "\xff\xfe\n");
    EXPECT_EQ(judge(machine.root(), machine.functions, at("0000:01:00.0")).error().code,
              Code::invalid);
}

}  // namespace
}  // namespace vfb::iommu::test
