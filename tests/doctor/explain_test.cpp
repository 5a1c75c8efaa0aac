// SPDX-License-Identifier: GPL-2.0-or-later
//
// What follows from the facts about a function: each outcome of each check.
#include "doctor/explain.hpp"

#include <gmock/gmock.h>

namespace vfb::doctor {
namespace {

using Level = Finding::Level;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

pci::Address at(const std::string& text) {
    return pci::Address::parse(text).value();
}

// A VF that is as it should be.
Explanation good() {
    Explanation e;
    e.function.address = at("0000:01:10.0");
    e.function.class_code = 0x020000;
    e.function.physfn = at("0000:01:00.0");
    e.function.driver = "vfio-pci";
    e.function.group = 7;
    e.function.reset_method = "flr";
    e.function.bars = {{.address = 0xfe000000, .size = 16384}};
    e.function.numa_node = 1;
    e.platform = {.present = true, .groups = true, .interrupt_remapping = true};
    e.verdict = {.viable = true, .group = 7, .members = {e.function.address}};
    e.bridges = {{.address = at("0000:00:02.0"), .kind = "root port", .capability = true}};
    e.reserved_regions = {{.start = 0xfee00000, .end = 0xfeefffff, .type = "msi"}};
    e.support.iommufd = true;
    e.nodes = "0-1";
    return e;
}

std::vector<Finding> of(const Explanation& e, const std::string& check) {
    std::vector<Finding> found;
    for (auto& finding : findings(e))
        if (finding.check == check) found.push_back(std::move(finding));
    return found;
}

// The only finding of a check.
Finding one(const Explanation& e, const std::string& check) {
    const auto found = of(e, check);
    EXPECT_EQ(found.size(), 1U) << check;
    return found.empty() ? Finding{} : found.front();
}

auto is(Level level, const std::string& text) {
    return AllOf(Field(&Finding::level, level), Field(&Finding::text, HasSubstr(text)));
}

TEST(Explain, AFunctionAsItShouldBePassesEverything) {
    EXPECT_THAT(findings(good()), Each(Field(&Finding::level, Level::pass)));
    EXPECT_THAT(findings(good()), Each(Field(&Finding::hint, "")));
}

TEST(Explain, EveryOtherFindingSaysWhatToDo) {
    Explanation e = good();
    e.function.driver = "igbvf";
    e.function.reset_method = {};
    e.function.bars[0].address = 0;
    e.function.numa_node.reset();
    e.platform = {.interrupt_remapping = false, .noiommu_enabled = true};
    e.interrupts_hint = "turn it on";
    e.verdict = {};
    e.support = {};
    e.uses = {{.kind = "address", .text = "eth0 has the address 192.0.2.1/24"}};
    e.holders = {{.pid = 8, .name = "qemu"}};
    e.reserved_regions = {{.start = 0, .end = 4095, .type = "direct"}};
    for (const auto& finding : findings(e)) {
        // That of the group is the refusal's own.
        const bool needs_hint = finding.level != Level::pass && finding.check != "iommu-group";
        EXPECT_TRUE(!needs_hint || !finding.hint.empty()) << finding.check;
        EXPECT_FALSE(finding.text.empty()) << finding.check;
    }
}

TEST(Explain, Drivers) {
    Explanation e = good();
    e.function.driver = "igbvf";
    EXPECT_THAT(one(e, "driver"), is(Level::note, "bound to igbvf"));
    e.function.driver.reset();
    EXPECT_THAT(one(e, "driver"), is(Level::pass, "no driver"));
}

TEST(Explain, UsesOfTheHost) {
    Explanation e = good();
    e.uses = {{.kind = "address", .text = "eth0 has the address 192.0.2.1/24"},
              {.kind = "route", .text = "a route leaves by eth0"}};
    EXPECT_THAT(of(e, "host-use"),
                ElementsAre(is(Level::warn, "192.0.2.1"), is(Level::warn, "route")));
    e.uses.clear();
    e.function.class_code = 0x030000;
    e.function.driver = "i915";
    EXPECT_THAT(one(e, "host-use"), is(Level::note, "what i915 uses it for is not known"));
}

TEST(Explain, ASharedGroupNamesWhoIsInTheWay) {
    Explanation e = good();
    e.verdict.viable = false;
    e.verdict.members.push_back(at("0000:01:00.0"));
    e.verdict.obstacles = {{.address = at("0000:01:00.0"), .driver = "igb", .netdevs = {"eth1"}}};
    e.verdict.gaps = {{.bridge = at("0000:00:02.0"), .bridge_name = "A port", .missing = {"SV"}}};
    e.verdict.refusal = Error{.code = Code::not_viable, .hint = "move the card"};
    EXPECT_EQ(one(e, "iommu-group").text, "group 7 also holds 0000:01:00.0 (igb, in use by eth1)");
    EXPECT_EQ(one(e, "iommu-group").hint, "move the card");
    EXPECT_THAT(one(e, "acs"), is(Level::fail, "bridge 0000:00:02.0 (A port) has no ACS"));
    EXPECT_EQ(one(e, "acs").subject, "0000:00:02.0");
    // Others without a driver of the host stand in nobody's way.
    e.verdict.obstacles.clear();
    e.verdict.refusal.reset();
    EXPECT_THAT(one(e, "iommu-group"), is(Level::note, "also holds 0000:01:00.0"));
    EXPECT_THAT(one(e, "acs"), is(Level::warn, "has no ACS"));
    e.verdict.gaps.clear();
    EXPECT_THAT(one(e, "acs"), is(Level::note, "no bridge shows why"));
    e.verdict.gaps_unknown = true;
    EXPECT_THAT(one(e, "acs"), is(Level::note, "cannot be read"));
}

TEST(Explain, WithoutAGroup) {
    Explanation e = good();
    e.verdict = {};
    e.verdict.refusal = Error{.code = Code::not_viable, .reason = "no IOMMU", .hint = "VT-d"};
    EXPECT_THAT(one(e, "iommu-group"), is(Level::fail, "no IOMMU"));
    // The kernel turns ACS on with an IOMMU only, so that being off is no fault yet.
    e.bridges[0].gap = iommu::AcsGap{.bridge = at("0000:00:02.0"), .capability = true};
    EXPECT_THAT(one(e, "acs"), is(Level::pass, "nothing"));
    e.bridges[0].gap->capability = false;
    EXPECT_THAT(one(e, "acs"), is(Level::warn, "has no ACS"));
}

TEST(Explain, ABridgeIsJudgedByItself) {
    Explanation e = good();
    e.function.header_type = 1;
    e.function.physfn.reset();
    e.function.driver = "pcieport";
    e.verdict.obstacles = {{.address = at("0000:01:00.0"), .driver = "igb"}};
    EXPECT_THAT(findings(e), Each(Field(&Finding::level, Level::pass)));
    e.bridges[0].gap = iommu::AcsGap{.bridge = at("0000:00:02.0"), .pcie_to_pci = true};
    EXPECT_THAT(one(e, "acs"), is(Level::warn, "conventional PCI"));
    EXPECT_THAT(one(e, "acs").hint, HasSubstr("PCI Express card"));
}

TEST(Explain, Interrupts) {
    Explanation e = good();
    e.interrupts_hint = "turn it on";
    e.platform.interrupt_remapping = false;
    EXPECT_THAT(one(e, "interrupt-remapping"), is(Level::fail, "not remapped"));
    EXPECT_EQ(one(e, "interrupt-remapping").hint, "turn it on");
    e.platform.unsafe_interrupts_iommufd = true;
    EXPECT_THAT(one(e, "interrupt-remapping"), is(Level::warn, "has accepted"));
    EXPECT_THAT(one(e, "unsafe-options"),
                is(Level::warn, "iommufd.allow_unsafe_interrupts is set"));
    e.platform.interrupt_remapping.reset();
    EXPECT_THAT(one(e, "interrupt-remapping"), is(Level::note, "cannot be told"));
}

TEST(Explain, ReservedRegions) {
    Explanation e = good();
    EXPECT_THAT(one(e, "reserved-regions"), is(Level::pass, "0xfee00000-0xfeefffff (msi)"));
    e.reserved_regions = {{.start = 0x1000, .end = 0x1fff, .type = "direct"}};
    EXPECT_THAT(one(e, "reserved-regions"), is(Level::fail, "RMRR"));
    e.reserved_regions[0].type = "direct-relaxable";
    EXPECT_THAT(one(e, "reserved-regions"), is(Level::note, "0x1000-0x1fff"));
    e.reserved_regions.clear();
    EXPECT_THAT(one(e, "reserved-regions"), is(Level::pass, "none"));
}

TEST(Explain, Resets) {
    Explanation e = good();
    e.function.reset_method = "bus";
    EXPECT_THAT(one(e, "reset"), is(Level::note, "everything on its bus"));
    e.function.reset_method = {};
    EXPECT_THAT(one(e, "reset"), is(Level::warn, "no way to reset it"));
    e.function.physfn.reset();
    EXPECT_THAT(one(e, "reset"), is(Level::note, "no way to reset it"));
}

TEST(Explain, MemoryWindows) {
    Explanation e = good();
    e.function.bars.push_back({.address = 0, .size = 1 << 20, .index = 2});
    EXPECT_THAT(one(e, "bars"), is(Level::fail, "BAR 2 of 1 MiB has no address"));
    EXPECT_THAT(one(e, "bars").hint, HasSubstr("pci=realloc"));
    e.function.bars.clear();
    EXPECT_THAT(one(e, "bars"), is(Level::pass, "no memory windows"));
    EXPECT_THAT(of(e, "vf-bars"), IsEmpty());
    e.function.sriov = pci::SrIov{.total = 8, .vf_bars = {{.address = 0, .size = 16384}}};
    EXPECT_THAT(one(e, "vf-bars"), is(Level::fail, "VF BAR 0 of 128 KiB has no address"));
    e.function.sriov->total = 0;
    EXPECT_THAT(one(e, "vf-bars"), is(Level::fail, "can have no VFs"));
}

TEST(Explain, NumaVariantAndBackend) {
    Explanation e = good();
    e.function.numa_node.reset();
    EXPECT_THAT(one(e, "numa"), is(Level::note, "does not say"));
    e.nodes = "0";
    EXPECT_THAT(one(e, "numa"), is(Level::pass, "one node"));
    e.variants = {{.module = "mlx5_vfio_pci", .driver = std::nullopt}};
    EXPECT_THAT(one(e, "variant-driver"), is(Level::note, "mlx5_vfio_pci is made for it"));
    EXPECT_THAT(one(e, "variant-driver").hint, HasSubstr("modprobe mlx5_vfio_pci"));
    e.variants[0].driver = "mlx5-vfio-pci";
    EXPECT_THAT(one(e, "variant-driver"), is(Level::pass, "mlx5-vfio-pci"));
    e.support = {.group = true, .iommufd_reason = "no CONFIG_VFIO_DEVICE_CDEV"};
    EXPECT_THAT(one(e, "backend"), is(Level::note, "no CONFIG_VFIO_DEVICE_CDEV"));
    e.support.group = false;
    EXPECT_THAT(one(e, "backend").level, Level::fail);
}

TEST(Explain, WhatCannotBeReadIsANoteAndTheRestGoesOn) {
    Explanation e = good();
    const Error error =
        fail(Code::denied, "enter a network namespace", "process 8", "not permitted").error();
    e.unread = {{"host-use", error}, {"iommu-group", error}};
    EXPECT_THAT(one(e, "host-use"), is(Level::note, "cannot enter a network namespace"));
    EXPECT_FALSE(one(e, "host-use").hint.empty());
    EXPECT_THAT(one(e, "iommu-group").level, Level::note);
    EXPECT_THAT(one(e, "acs").level, Level::note);
    EXPECT_THAT(one(e, "reset").level, Level::pass);
}

}  // namespace
}  // namespace vfb::doctor
