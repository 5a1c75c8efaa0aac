// SPDX-License-Identifier: GPL-2.0-or-later
//
// Inside the emulated machine. Run the suite of the machine that is there:
//   ./dev vm -- vm_iommu_test --gtest_filter='Plain.*'
//   ./dev vm --switch -- vm_iommu_test --gtest_filter='Switch.*'
//   ./dev vm --intremap off -- vm_iommu_test --gtest_filter='NoIntremap.*'
//   ./dev vm --no-iommu -- vm_iommu_test --gtest_filter='NoIommu.*'
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "iommu/groups.hpp"
#include "pci/inventory.hpp"
#include "pci/sriov.hpp"

namespace vfb::iommu {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

pci::Address at(std::string_view text) {
    return pci::Address::parse(text).value();
}

class Here : public testing::Test {
protected:
    void SetUp() override {
        if (std::getenv("VFB_VM") == nullptr) GTEST_SKIP() << "only inside the emulated machine";
        read();
    }
    void read() {
        functions.clear();
        pci::Inventory inventory(root);
        const auto all = inventory.read_all().value();
        for (const auto& function : all) functions.emplace(function.address, function);
    }
    std::vector<pci::Address> create_vfs(const pci::Address& pf) {
        auto vfs = pci::create_vfs(root, pf, 2, std::chrono::seconds(60));
        EXPECT_TRUE(vfs.has_value()) << vfs.error().message();
        read();
        return vfs.value_or(std::vector<pci::Address>{});
    }
    void TearDown() override {
        for (const auto& [address, function] : functions)
            if (function.sriov && function.sriov->enabled != 0) {
                const auto removed = pci::remove_vfs(root, address);
                EXPECT_TRUE(removed.has_value()) << removed.error().message();
            }
    }
    SysRoot root = SysRoot::host().value();
    Functions functions;
};

using Plain = Here;
using Switch = Here;
using NoIntremap = Here;
using NoIommu = Here;

TEST_F(Plain, ThePlatformHasWhatItWasGiven) {
    const auto platform = read_platform(root).value();
    EXPECT_TRUE(platform.present);
    EXPECT_EQ(platform.kind, "intel");
    EXPECT_TRUE(platform.groups);
    EXPECT_EQ(platform.interrupt_remapping, true);
    EXPECT_FALSE(platform.unsafe_interrupts_type1);
    EXPECT_FALSE(platform.unsafe_interrupts_iommufd);
    EXPECT_FALSE(platform.noiommu_enabled);
}

TEST_F(Plain, GroupsAreThoseOfTheFunctions) {
    const auto groups = read_groups(root).value();
    for (const Group& group : groups) {
        EXPECT_THAT(group.type, testing::StartsWith("DMA"));
        EXPECT_FALSE(group.noiommu);
        for (const pci::Address& member : group.members)
            EXPECT_EQ(functions.at(member).group, group.number);
    }
    for (const auto& [address, function] : functions) EXPECT_TRUE(function.group.has_value());
}

TEST_F(Plain, EveryVfIsViable) {
    const auto vfs = create_vfs(at("0000:01:00.0"));
    ASSERT_EQ(vfs.size(), 2U);
    for (const pci::Address& vf : vfs) {
        const auto verdict = judge(root, functions, vf).value();
        EXPECT_TRUE(verdict.viable) << verdict.refusal->message();
        EXPECT_EQ(verdict.members, std::vector{vf});
    }
}

TEST_F(Plain, FunctionsOfTheChipsetShareAGroup) {
    const auto verdict = judge(root, functions, at("0000:00:1f.3")).value();
    ASSERT_EQ(verdict.gaps.size(), 1U);
    EXPECT_TRUE(verdict.gaps[0].multifunction);
    EXPECT_EQ(verdict.members.size(), 3U);
}

TEST_F(Switch, ThePfIsInTheGroupOfItsVfs) {
    const pci::Address pf = at("0000:04:00.0");
    const auto vfs = create_vfs(pf);
    ASSERT_EQ(vfs.size(), 2U);
    const auto verdict = judge(root, functions, vfs[0]).value();
    EXPECT_FALSE(verdict.viable);
    ASSERT_EQ(verdict.gaps.size(), 1U);
    EXPECT_EQ(verdict.gaps[0].bridge, at("0000:03:00.0"));
    EXPECT_EQ(verdict.refusal->code, Code::not_viable);
    EXPECT_THAT(verdict.refusal->message(),
                HasSubstr("also holds 0000:04:00.0 (igb): bridge 0000:03:00.0 (Texas Instruments "
                          "XIO3130 PCI Express Switch (Downstream)) has no ACS"));
    // The first NIC of this machine, on a port of the CPU, is not concerned.
    EXPECT_TRUE(judge(root, functions, at("0000:01:00.0"))->viable);
}

TEST_F(NoIntremap, VfsAreRefusedUntilTheOperatorAllowsIt) {
    EXPECT_EQ(read_platform(root)->interrupt_remapping, false);
    const auto vfs = create_vfs(at("0000:01:00.0"));
    ASSERT_EQ(vfs.size(), 2U);
    const auto verdict = judge(root, functions, vfs[0]).value();
    EXPECT_FALSE(verdict.viable);
    EXPECT_THAT(verdict.refusal->message(), HasSubstr("interrupts are not remapped"));
    const std::string parameter = "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
    ASSERT_TRUE(root.sys().write(parameter, "1").has_value());
    EXPECT_TRUE(judge(root, functions, vfs[0])->viable);
    ASSERT_TRUE(root.sys().write(parameter, "0").has_value());
}

TEST_F(NoIommu, NothingIsViableAndTheHintSaysWhy) {
    const auto platform = read_platform(root).value();
    EXPECT_FALSE(platform.present);
    EXPECT_FALSE(platform.groups);
    EXPECT_THAT(read_groups(root).value(), IsEmpty());
    const auto verdict = judge(root, functions, at("0000:01:00.0")).value();
    EXPECT_FALSE(verdict.viable);
    EXPECT_THAT(verdict.refusal->message(), HasSubstr("no IOMMU in use"));
    EXPECT_THAT(verdict.refusal->hint, HasSubstr("on in the firmware settings"));
}

}  // namespace
}  // namespace vfb::iommu
