// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>

#include "machine.hpp"

namespace vfb::iommu::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Groups, NoneWithoutAnIommu) {
    const Machine machine;
    EXPECT_THAT(read_groups(machine.root()).value(), IsEmpty());
}

TEST(Groups, AreReadInOrderOfTheirNumbers) {
    Machine machine;
    machine.group(10, {"0000:02:00.0"});
    machine.group(9, {"0000:01:00.0", "0000:01:00.1"});
    const auto groups = read_groups(machine.root()).value();
    ASSERT_EQ(groups.size(), 2U);
    EXPECT_EQ(groups[0].number, 9U);
    EXPECT_THAT(groups[0].members, ElementsAre(at("0000:01:00.0"), at("0000:01:00.1")));
    EXPECT_EQ(groups[0].type, "DMA-FQ");
    EXPECT_THAT(groups[0].reserved_regions,
                ElementsAre(ReservedRegion{.start = 0xfee00000, .end = 0xfeefffff, .type = "msi"}));
    EXPECT_EQ(groups[1].number, 10U);
    EXPECT_FALSE(groups[1].noiommu);
}

TEST(Groups, RegionsUseAll64Bits) {
    Machine machine;
    machine.group(1, {"0000:01:00.0"});
    machine.write("sys/kernel/iommu_groups/1/reserved_regions",
                  "0x0000000000000000 0x0000000000ffffff direct-relaxable\n"
                  "0x000000fd00000000 0xffffffffffffffff reserved\n");
    const auto group = read_group(machine.root(), 1).value();
    ASSERT_EQ(group.reserved_regions.size(), 2U);
    EXPECT_EQ(group.reserved_regions[0].type, "direct-relaxable");
    EXPECT_EQ(group.reserved_regions[1].end, UINT64_MAX);
}

TEST(Groups, WhatIsMissingIsEmpty) {
    Machine machine;
    machine.group(1, {"0000:01:00.0"});
    machine.remove("sys/kernel/iommu_groups/1/type");
    machine.remove("sys/kernel/iommu_groups/1/reserved_regions");
    const auto group = read_group(machine.root(), 1).value();
    EXPECT_EQ(group.type, "");
    EXPECT_THAT(group.reserved_regions, IsEmpty());
}

TEST(Groups, DevicesOfOtherBusesAreLeftOut) {
    Machine machine;
    machine.group(1, {"0000:01:00.0"});
    machine.link("sys/kernel/iommu_groups/1/devices/fd5b0000.dma", "../../../../devices/x");
    EXPECT_THAT(read_group(machine.root(), 1)->members, ElementsAre(at("0000:01:00.0")));
}

TEST(Groups, OneThatDoesNotExistIsNotFound) {
    const Machine machine;
    const auto group = read_group(machine.root(), 7);
    ASSERT_FALSE(group.has_value());
    EXPECT_EQ(group.error().code, Code::not_found);
    EXPECT_EQ(group.error().message(), "cannot read group 7: there is no such IOMMU group");
}

TEST(Groups, GarbageIsAnErrorThatNamesTheFile) {
    for (const char* line : {"garbage", "0x10 0x20", "0x20 0x10 msi", "0xg 0x20 msi", "1 2 ",
                             "0x10  0x20 msi", "0x10 0x10000000000000000 msi", "-1 2 msi"}) {
        Machine machine;
        machine.group(1, {"0000:01:00.0"});
        machine.write("sys/kernel/iommu_groups/1/reserved_regions", std::string(line) + "\n");
        const auto groups = read_groups(machine.root());
        ASSERT_FALSE(groups.has_value()) << line;
        EXPECT_EQ(groups.error().code, Code::invalid);
        EXPECT_THAT(groups.error().message(), HasSubstr("iommu_groups/1/reserved_regions"));
    }
    Machine machine;
    machine.write("sys/kernel/iommu_groups/12x/type", "DMA\n");
    EXPECT_THAT(read_groups(machine.root()).error().message(), HasSubstr("'12x'"));
}

}  // namespace
}  // namespace vfb::iommu::test
