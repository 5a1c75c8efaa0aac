// SPDX-License-Identifier: GPL-2.0-or-later
//
// The bridges above a function and their ACS controls, one by one.
#include <gmock/gmock.h>

#include "machine.hpp"

namespace vfb::iommu::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;

// An endpoint behind a switch: root port 00:1c.0, upstream 02:00.0, downstream 03:00.0.
void add_switch(Machine& machine, std::optional<Acs> downstream) {
    machine.iommu();
    machine.add_bridge("0000:00:1c.0", kRootPort, Acs{});
    machine.add_bridge("0000:02:00.0", kUpstream).parent = at("0000:00:1c.0");
    machine.add_bridge("0000:03:00.0", kDownstream, downstream).parent = at("0000:02:00.0");
    machine.add("0000:04:00.0", kEndpoint).parent = at("0000:03:00.0");
}

std::vector<BridgeOnPath> path_of(const Machine& machine, const std::string& function) {
    return path_to_root(machine.root(), machine.functions, machine.functions.at(at(function)));
}

TEST(Path, ListsEveryBridgeUpToTheRoot) {
    Machine machine;
    add_switch(machine, Acs{});
    const auto path = path_of(machine, "0000:04:00.0");
    ASSERT_EQ(path.size(), 3U);
    EXPECT_EQ(path[0].address, at("0000:03:00.0"));
    EXPECT_EQ(path[0].kind, "switch downstream port");
    EXPECT_EQ(path[1].kind, "switch upstream port");
    EXPECT_EQ(path[2].kind, "root port");
    EXPECT_THAT(path[2].controls, Each(AcsControl::on));
    // An upstream port has nothing to redirect.
    EXPECT_EQ(path[1].capability, false);
    EXPECT_THAT(path[1].controls, Each(AcsControl::not_implemented));
    for (const auto& bridge : path) EXPECT_FALSE(bridge.gap) << bridge.address.str();
}

TEST(Path, EachControlIsOnOffOrNotImplemented) {
    Machine machine;
    // SV on, RR off, CR not there, UF on (bits 0, 2, 3, 4).
    add_switch(machine, Acs{.capability = 0x15, .control = 0x11});
    const auto path = path_of(machine, "0000:04:00.0");
    EXPECT_EQ(path[0].capability, true);
    EXPECT_THAT(path[0].controls, ElementsAre(AcsControl::on, AcsControl::off,
                                              AcsControl::not_implemented, AcsControl::on));
    ASSERT_TRUE(path[0].gap);
    EXPECT_THAT(path[0].gap->missing, ElementsAre("RR"));
}

TEST(Path, ABridgeThatTheKernelLeftOutOfTheGroupIsNoGap) {
    Machine machine;
    add_switch(machine, std::nullopt);
    machine.group(1, {"0000:03:00.0"});
    machine.group(2, {"0000:04:00.0"});
    const auto path = path_of(machine, "0000:04:00.0");
    ASSERT_TRUE(path[0].gap);
    EXPECT_TRUE(path[0].quirk);
}

TEST(Path, ABridgeIsTheFirstOnItsOwnWay) {
    Machine machine;
    add_switch(machine, std::nullopt);
    const auto path = path_of(machine, "0000:03:00.0");
    ASSERT_EQ(path.size(), 3U);
    EXPECT_EQ(path[0].address, at("0000:03:00.0"));
    EXPECT_TRUE(path[0].gap);
    EXPECT_FALSE(path[0].quirk);
}

TEST(Path, WhatCannotBeReadIsUnknown) {
    Machine machine;
    machine.iommu();
    pci::Function& bridge = machine.add("0000:00:1c.0", kRootPort, Acs{}, 64);
    bridge.header_type = 1;
    machine.add("0000:01:00.0", kEndpoint).parent = at("0000:00:1c.0");
    machine.add("0000:00:02.0", kEndpoint);
    const auto path = path_of(machine, "0000:01:00.0");
    ASSERT_EQ(path.size(), 1U);
    EXPECT_FALSE(path[0].capability);
    EXPECT_THAT(path[0].controls, Each(AcsControl::unknown));
    EXPECT_THAT(path_of(machine, "0000:00:02.0"), IsEmpty());
}

TEST(Path, AnInventoryThatRunsInACircleEnds) {
    Machine machine;
    machine.add_bridge("0000:00:1c.0", kRootPort).parent = at("0000:00:1c.0");
    machine.add("0000:01:00.0", kEndpoint).parent = at("0000:00:1c.0");
    EXPECT_LE(path_of(machine, "0000:01:00.0").size(), 256U);
}

}  // namespace
}  // namespace vfb::iommu::test
