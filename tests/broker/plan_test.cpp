// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/plan.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfb::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kConfig = R"(
[pf.uplink]
address = "0000:01:00.0"
vfs = 3
[pool.guests]
pf = "uplink"
)";
const pci::Address kPf{.domain = 0, .bus = 1, .device = 0, .function = 0};
const Caller kRoot{.uid = 0, .gids = {0}, .process = {.pid = 10, .start_time = 1}};
const vfio::Support kBoth{.iommufd = true, .group = true, .iommufd_reason = {}, .group_reason = {}};

pci::Address vf(unsigned index) {
    return {.domain = 0, .bus = 1, .device = 16, .function = static_cast<std::uint8_t>(index)};
}

class PlanTest : public testing::Test {
protected:
    void SetUp() override {
        auto opened = Broker::open(*Store::open(":memory:"), 8ULL << 30);
        ASSERT_TRUE(opened);
        broker.emplace(std::move(*opened));
        broker->configure(parse(kConfig));
        for (std::uint16_t i = 0; i < 3; ++i) {
            broker->locate({"uplink", i}, vf(i), 20 + i, 0);
            EXPECT_TRUE(
                broker->mark_clean({"uplink", i}, broker->default_attributes({"uplink", i})));
        }
        see(3);
    }
    static Config parse(const std::string& text) {
        auto config = parse_config(text, "test.toml");
        EXPECT_TRUE(config) << config.error().message();
        return *config;
    }
    // The PF with so many VFs, each as the slots say.
    void see(unsigned vfs) {
        Seen found;
        found.address = kPf;
        found.survey.up = true;
        for (std::uint16_t i = 0; i < vfs; ++i) {
            found.survey.vfs.push_back(vf(i));
            found.survey.drivers.emplace_back("vfio-pci");
            found.survey.attributes.push_back(broker->default_attributes({"uplink", i}));
        }
        seen["uplink"] = std::move(found);
    }
    LeaseId take() {
        LeaseRequest request;
        request.pool = "guests";
        request.guest = "web";
        return *broker->begin(*broker->choose(request, kRoot, kBoth), kRoot, 1);
    }
    Plan plan(const std::string& config = kConfig) const {
        return make_plan(parse(config), *broker, seen, remembered);
    }
    static std::vector<std::string> texts(const Plan& plan) {
        std::vector<std::string> list;
        for (const auto& pf : plan.pfs)
            for (const auto& change : pf.changes)
                list.push_back(fmt::format("{} {}: {}", to_string(change.action), change.subject,
                                           change.text));
        return list;
    }
    static std::string with_vfs(unsigned vfs) {
        std::string text = kConfig;
        return text.replace(text.find("vfs = 3"), 7, fmt::format("vfs = {}", vfs));
    }

    std::optional<Broker> broker;
    std::map<std::string, Seen> seen;
    std::vector<StoredPf> remembered;
};

TEST_F(PlanTest, NothingWhenAllIsAsItShouldBe) {
    EXPECT_TRUE(plan().empty());
    EXPECT_EQ(plan().blocked(), nullptr);
}

TEST_F(PlanTest, VfsAreCreatedAndPutIntoTheirPools) {
    broker->configure({});
    broker->retire();
    see(0);
    EXPECT_THAT(texts(plan()),
                ElementsAre("add uplink: create 3 VFs", "add uplink/0: into pool guests",
                            "add uplink/1: into pool guests", "add uplink/2: into pool guests"));
    EXPECT_EQ(plan().count(Change::Action::add), 4U);
}

TEST_F(PlanTest, AnotherNumberReplacesAll) {
    const Plan made = plan(with_vfs(2));
    EXPECT_THAT(texts(made),
                ElementsAre("change uplink: remove its 3 VFs and create 2",
                            "add uplink/0: into pool guests", "add uplink/1: into pool guests"));
    EXPECT_TRUE(made.pfs.front().resize);
}

TEST_F(PlanTest, LeasesAndUsesAreInTheWayOfThat) {
    take();
    seen["uplink"].survey.in_use[vf(1)] = {{.kind = "mount", .text = "nvme1n1 is mounted at /x"}};
    const Plan made = plan(with_vfs(2));
    ASSERT_EQ(made.pfs.size(), 1U);
    EXPECT_FALSE(made.pfs.front().resize);
    ASSERT_EQ(made.pfs.front().blocked.size(), 2U);
    EXPECT_EQ(made.blocked()->code, Code::busy);
    EXPECT_THAT(made.blocked()->message(),
                HasSubstr("lease 1 (guest web, pid 10) holds " + vf(0).str()));
    EXPECT_THAT(made.pfs.front().blocked.back().message(), HasSubstr("nvme1n1 is mounted at /x"));
    // The slot that goes is leased: it stays until then.
    EXPECT_THAT(texts(made), testing::Not(testing::Contains(HasSubstr("into pool"))));
}

TEST_F(PlanTest, UsesThatAreSetAsideAreNotInTheWay) {
    auto& in_use = seen["uplink"].survey.in_use;
    in_use[vf(1)] = {{.kind = "address", .text = "eth1 has the address 192.0.2.7/24"}};
    set_aside(seen, {{vf(1), {"route"}}, {vf(2), {"address"}}});
    EXPECT_FALSE(plan(with_vfs(2)).pfs.front().resize);
    set_aside(seen, {{vf(1), {"address"}}});
    EXPECT_TRUE(plan(with_vfs(2)).pfs.front().resize);
    // Who has it open cannot be set aside.
    in_use[vf(2)] = {{.kind = "vfio", .text = "pid 9 (qemu) has it open"}};
    set_aside(seen, {{vf(2), {"vfio"}}});
    EXPECT_FALSE(plan(with_vfs(2)).pfs.front().resize);
}

TEST_F(PlanTest, AttributesDriversAndLinksThatDiffer) {
    seen["uplink"].survey.attributes[1].vlan = 5;
    seen["uplink"].survey.drivers[2] = "igbvf";
    seen["uplink"].survey.up = false;
    seen["uplink"].survey.mtu = 1500;
    std::string with_mtu = kConfig;
    with_mtu.insert(with_mtu.find("[pool"), "mtu = 9000\n");
    EXPECT_THAT(
        texts(plan(with_mtu)),
        ElementsAre("change uplink: mtu 1500 -> 9000", "change uplink: set its link up",
                    "change uplink/1: vlan 5 -> 0", "change uplink/2: driver igbvf -> vfio-pci"));
}

TEST_F(PlanTest, WhatTheDriverDoesNotReportIsNoDifference) {
    seen["uplink"].survey.attributes[1].link_state.reset();
    seen["uplink"].survey.attributes[2] = {};
    EXPECT_TRUE(plan().empty());
}

TEST_F(PlanTest, NothingIsDoneUnderALease) {
    take();
    seen["uplink"].survey.attributes[0].vlan = 5;
    seen["uplink"].survey.drivers[0] = "igbvf";
    const Plan made = plan();
    EXPECT_THAT(texts(made), IsEmpty());
    ASSERT_EQ(made.pfs.size(), 1U);
    EXPECT_THAT(made.pfs.front().later, ElementsAre(HasSubstr("changed vlan to 5")));
}

TEST_F(PlanTest, SlotsThatNoPoolHasGoBack) {
    const Plan made = plan(std::string(kConfig) + "vfs = \"0-1\"\n");
    EXPECT_THAT(texts(made), ElementsAre("remove uplink/2: is given back to the host"));
}

TEST_F(PlanTest, PfsThatAreNotNamedGoBackUnlessTheyHaveAnotherName) {
    StoredPf known;
    known.name = "uplink";
    known.address = kPf;
    known.created_vfs = true;
    remembered.push_back(known);
    EXPECT_THAT(texts(plan("")),
                ElementsAre("remove uplink: is given back to the host, without its 3 VFs"));
    seen["lan"] = seen["uplink"];
    std::string renamed = kConfig;
    while (renamed.find("uplink") != std::string::npos)
        renamed.replace(renamed.find("uplink"), 6, "lan");
    EXPECT_THAT(texts(plan(renamed)), testing::Each(HasSubstr("add lan/")));
}

TEST_F(PlanTest, WhatIsMissingOrStuckIsInTheWay) {
    seen["uplink"].problem = fail(Code::not_found, "find PF uplink", "uplink", "no match").error();
    EXPECT_EQ(plan().blocked()->code, Code::not_found);
    see(3);
    broker->mark_stuck({"uplink", 1}, fail(Code::stuck, "reset it", "x", "no answer").error());
    EXPECT_EQ(plan().blocked()->code, Code::stuck);
}

TEST_F(PlanTest, WhatWasRefusedIsTriedAgain) {
    broker->quarantine({"uplink", 1}, fail(Code::busy, "take it", "x", "it is up").error());
    EXPECT_THAT(texts(plan()), ElementsAre(HasSubstr("uplink/1: scrub again: cannot take it")));
}

// Nothing of it is begun, and the others go on.
TEST_F(PlanTest, WhatTheMachineCannotDoIsRefusedWhole) {
    seen["uplink"].survey.limits.vfs = 4;
    seen["uplink"].survey.mtu = 1500;
    std::string text = with_vfs(16);
    text.replace(text.find("vfs = 16"), 8, "vfs = 16\nmtu = 9000");
    const auto made = plan(text);
    ASSERT_EQ(made.pfs.size(), 1U);
    EXPECT_TRUE(made.pfs[0].refused);
    EXPECT_FALSE(made.pfs[0].resize);
    EXPECT_THAT(made.pfs[0].changes, IsEmpty());
    ASSERT_EQ(made.pfs[0].blocked.size(), 1U);
    EXPECT_EQ(made.pfs[0].blocked[0].message(),
              "cannot create 16 VFs on 0000:01:00.0: it can have at most 4");
    EXPECT_FALSE(plan(with_vfs(4)).pfs.at(0).refused);
}

}  // namespace
}  // namespace vfb::broker
