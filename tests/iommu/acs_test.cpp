// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which bridge a shared group is laid to, and in which words.
#include <gmock/gmock.h>

#include "machine.hpp"

namespace vfb::iommu::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Two functions of one group behind one bridge, `00:1c.0`; the gaps found for the first.
std::vector<AcsGap> gaps_behind(std::optional<std::uint8_t> type, std::optional<Acs> acs) {
    Machine machine;
    machine.iommu();
    machine.add_bridge("0000:00:1c.0", type, acs);
    machine.add("0000:01:00.0", kEndpoint).parent = at("0000:00:1c.0");
    machine.add("0000:01:01.0", kEndpoint).parent = at("0000:00:1c.0");
    machine.group(3, {"0000:00:1c.0", "0000:01:00.0", "0000:01:01.0"});
    return machine.judge("0000:01:00.0").gaps;
}

TEST(Acs, APortWithEveryControlOnIsolates) {
    EXPECT_THAT(gaps_behind(kRootPort, Acs{}), IsEmpty());
    EXPECT_THAT(gaps_behind(kDownstream, Acs{}), IsEmpty());
}

TEST(Acs, AControlThatThePortDoesNotHaveCountsAsOn) {
    EXPECT_THAT(gaps_behind(kRootPort, Acs{.capability = 0x01, .control = 0x01}), IsEmpty());
    EXPECT_THAT(gaps_behind(kRootPort, Acs{.capability = 0x00, .control = 0x00}), IsEmpty());
}

TEST(Acs, APortWithoutTheCapabilityDoesNotIsolate) {
    for (const std::uint8_t type : {kRootPort, kDownstream}) {
        const auto gaps = gaps_behind(type, std::nullopt);
        ASSERT_EQ(gaps.size(), 1U);
        EXPECT_FALSE(gaps[0].capability);
        EXPECT_THAT(gaps[0].missing, ElementsAre("SV", "RR", "CR", "UF"));
        EXPECT_EQ(describe(gaps[0]), "bridge 0000:00:1c.0 (8086:10c9) has no ACS");
    }
}

TEST(Acs, ControlsThatAreTurnedOffAreNamed) {
    const auto gaps = gaps_behind(kRootPort, Acs{.capability = 0x5f, .control = 0x15});
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_TRUE(gaps[0].capability);
    EXPECT_THAT(gaps[0].missing, ElementsAre("CR"));
    EXPECT_EQ(describe(gaps[0]), "bridge 0000:00:1c.0 (8086:10c9) has ACS CR turned off");
}

TEST(Acs, AnUpstreamPortNeedsNoneUnlessItHasSisters) {
    EXPECT_THAT(gaps_behind(kUpstream, std::nullopt), IsEmpty());
    Machine machine;
    machine.iommu();
    machine.add_bridge("0000:02:00.0", kUpstream).multifunction = true;
    machine.add("0000:03:00.0", kEndpoint).parent = at("0000:02:00.0");
    machine.add("0000:03:01.0", kEndpoint);
    machine.group(3, {"0000:02:00.0", "0000:03:00.0", "0000:03:01.0"});
    EXPECT_EQ(machine.judge("0000:03:00.0").gaps.size(), 1U);
}

TEST(Acs, BridgesToConventionalPciNeverIsolate) {
    for (const auto type : {std::optional(kPcieToPci), std::optional<std::uint8_t>()}) {
        const auto gaps = gaps_behind(type, Acs{});
        ASSERT_EQ(gaps.size(), 1U);
        EXPECT_TRUE(gaps[0].pcie_to_pci);
        EXPECT_EQ(describe(gaps[0]),
                  "bridge 0000:00:1c.0 (8086:10c9) leads to conventional PCI, where nothing can be "
                  "isolated");
    }
}

TEST(Acs, ABridgeThatTheKernelLeftOutOfTheGroupIsNotToBlame) {
    Machine machine;
    machine.iommu();
    machine.add_bridge("0000:00:1c.0", kRootPort);  // isolates by a quirk of the kernel
    machine.add_bridge("0000:02:00.0", kDownstream).parent = at("0000:00:1c.0");
    machine.add("0000:03:00.0", kEndpoint).parent = at("0000:02:00.0");
    machine.add("0000:03:01.0", kEndpoint).parent = at("0000:02:00.0");
    machine.group(3, {"0000:02:00.0", "0000:03:00.0", "0000:03:01.0"});
    const auto gaps = machine.judge("0000:03:00.0").gaps;
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps[0].bridge, at("0000:02:00.0"));
}

TEST(Acs, EveryBridgeAtFaultIsNamedUpwards) {
    Machine machine;
    machine.iommu();
    machine.add_bridge("0000:00:1c.0", kRootPort);
    machine.add_bridge("0000:02:00.0", kDownstream).parent = at("0000:00:1c.0");
    machine.add("0000:03:00.0", kEndpoint).parent = at("0000:02:00.0");
    machine.add("0000:03:01.0", kEndpoint).parent = at("0000:02:00.0");
    machine.group(3, {"0000:00:1c.0", "0000:02:00.0", "0000:03:00.0", "0000:03:01.0"});
    const auto gaps = machine.judge("0000:03:00.0").gaps;
    ASSERT_EQ(gaps.size(), 2U);
    EXPECT_EQ(gaps[0].bridge, at("0000:02:00.0"));
    EXPECT_EQ(gaps[1].bridge, at("0000:00:1c.0"));
}

TEST(Acs, FunctionsOfOneDeviceNeedTheirOwn) {
    for (const auto type : {std::optional(kEndpoint), std::optional<std::uint8_t>()}) {
        Machine machine;
        machine.iommu();
        machine.add("0000:00:1f.0", type).multifunction = true;
        machine.add("0000:00:1f.2", type).multifunction = true;
        machine.group(3, {"0000:00:1f.0", "0000:00:1f.2"});
        const auto gaps = machine.judge("0000:00:1f.2").gaps;
        ASSERT_EQ(gaps.size(), 1U);
        EXPECT_TRUE(gaps[0].multifunction);
        EXPECT_EQ(
            describe(gaps[0]),
            "0000:00:1f.2 (8086:10c9) has no ACS, which would tell it from other functions of "
            "its device");
    }
}

TEST(Acs, VfsOfOnePfAreToldApartByIt) {
    Machine machine;
    machine.iommu();
    machine.add("0000:01:00.0", kEndpoint);
    for (const char* address : {"0000:01:10.0", "0000:01:10.2"})
        machine.add(address, kEndpoint).physfn = at("0000:01:00.0");
    machine.group(3, {"0000:01:00.0", "0000:01:10.0", "0000:01:10.2"});
    EXPECT_THAT(machine.judge("0000:01:10.0").gaps, IsEmpty());
    machine.functions[at("0000:01:00.0")].multifunction = true;
    EXPECT_EQ(machine.judge("0000:01:10.0").gaps.size(), 1U);
}

TEST(Acs, AFunctionAloneInItsGroupIsNotLookedAt) {
    Machine machine;
    machine.iommu();
    machine.add_bridge("0000:00:1c.0", kRootPort);
    machine.add("0000:01:00.0", kEndpoint).parent = at("0000:00:1c.0");
    machine.group(3, {"0000:00:1c.0", "0000:01:00.0"});
    const auto verdict = machine.judge("0000:01:00.0");
    EXPECT_TRUE(verdict.viable);
    EXPECT_THAT(verdict.gaps, IsEmpty());
    EXPECT_THAT(verdict.members, ElementsAre(at("0000:01:00.0")));
}

TEST(Acs, WithoutPrivilegeTheGapsAreUnknown) {
    Machine machine;
    machine.iommu();
    machine.add("0000:00:1c.0", kRootPort, std::nullopt, 64).header_type = 1;
    machine.add("0000:01:00.0", kEndpoint).parent = at("0000:00:1c.0");
    machine.add("0000:01:01.0", kEndpoint).driver = "igb";
    machine.group(3, {"0000:00:1c.0", "0000:01:00.0", "0000:01:01.0"});
    const auto verdict = machine.judge("0000:01:00.0");
    EXPECT_TRUE(verdict.gaps_unknown);
    EXPECT_THAT(verdict.gaps, IsEmpty());
    EXPECT_THAT(verdict.refusal->hint, testing::HasSubstr("CAP_SYS_ADMIN"));
}

TEST(Acs, ARingOfCapabilitiesOrBridgesEnds) {
    Machine machine;
    machine.iommu();
    machine.add_bridge("0000:00:1c.0", kRootPort).parent = at("0000:02:00.0");
    machine.add_bridge("0000:02:00.0", kDownstream).parent = at("0000:00:1c.0");
    machine.add("0000:03:00.0", kEndpoint).parent = at("0000:02:00.0");
    machine.add("0000:03:01.0", kEndpoint);
    machine.group(3, {"0000:03:00.0", "0000:03:01.0"});
    EXPECT_THAT(machine.judge("0000:03:00.0").gaps, IsEmpty());

    std::string ring(4096, '\0');
    ring[0x100] = ring[0x104] = 0x01;
    ring[0x103] = 0x10;  // its successor is itself
    machine.write("sys/bus/pci/devices/0000:02:00.0/config", ring);
    machine.group(4, {"0000:02:00.0", "0000:03:00.0", "0000:03:01.0"});
    const auto gaps = machine.judge("0000:03:00.0").gaps;
    ASSERT_FALSE(gaps.empty());
    EXPECT_FALSE(gaps[0].capability);
}

}  // namespace
}  // namespace vfb::iommu::test
