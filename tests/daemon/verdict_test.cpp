// SPDX-License-Identifier: GPL-2.0-or-later
//
// The verdict about a function in each state that it can be in.
#include "verdict.hpp"

#include <gmock/gmock.h>

namespace vfb::daemon {
namespace {

using broker::SlotState;
using testing::HasSubstr;

struct Scene {
    pci::Function function;
    broker::Slot slot;
    broker::PoolConfig pool;
    broker::Lease lease;

    Scene() {
        function.address = pci::Address::parse("0000:01:10.0").value();
        function.physfn = pci::Address::parse("0000:01:00.0").value();
        pool.name = slot.pool = "guests";
        slot.state = SlotState::clean;
        lease.id = 5;
        lease.pool = "guests";
        lease.guest = "web";
        lease.owner = {.uid = 1000, .process = {.pid = 812}};
    }
    [[nodiscard]] VerdictFacts facts() const {
        return {.function = function, .slot = &slot, .pool = &pool, .allowed = true};
    }
    FunctionVerdict in(SlotState state) {
        slot.state = state;
        return judge(facts());
    }
};

TEST(Verdict, Available) {
    const Scene scene;
    const auto verdict = judge(scene.facts());
    EXPECT_TRUE(verdict.leasable);
    EXPECT_EQ(verdict.state, "available");
    EXPECT_THAT(verdict.text, HasSubstr("pool guests"));
    EXPECT_THAT(verdict.hint, HasSubstr("vfbroker run guests"));
}

TEST(Verdict, NotForTheCaller) {
    const Scene scene;
    auto facts = scene.facts();
    facts.allowed = false;
    const auto verdict = judge(facts);
    EXPECT_FALSE(verdict.leasable);
    EXPECT_EQ(verdict.state, "not-allowed");
}

TEST(Verdict, Drained) {
    const Scene scene;
    auto facts = scene.facts();
    facts.drained = "pool:guests";
    const auto verdict = judge(facts);
    EXPECT_FALSE(verdict.leasable);
    EXPECT_EQ(verdict.state, "drained");
    EXPECT_THAT(verdict.hint, HasSubstr("vfbroker resume pool:guests"));
}

TEST(Verdict, WhoseLeaseItIsIsForItsOwnerToKnow) {
    Scene scene;
    scene.slot.state = SlotState::leased;
    auto facts = scene.facts();
    facts.lease = &scene.lease;
    facts.owner = "qemu";
    facts.may_touch = true;
    EXPECT_EQ(judge(facts).text,
              "it is leased to pid 812 (qemu) of uid 1000, for the guest web: lease 5 of pool "
              "guests");
    EXPECT_THAT(judge(facts).hint, HasSubstr("vfbroker release 5"));
    facts.may_touch = false;
    EXPECT_EQ(judge(facts).text, "it is leased to a process of uid 1000: lease 5 of pool guests");
}

TEST(Verdict, WhatTheIommuSaysNowOutranksTheLastScrub) {
    const Scene scene;
    auto facts = scene.facts();
    facts.refusal = "cannot isolate it";
    facts.refusal_hint = "move the card";
    EXPECT_EQ(judge(facts).state, "not-viable");
    EXPECT_EQ(judge(facts).text, "cannot isolate it");
    EXPECT_EQ(judge(facts).hint, "move the card");
}

TEST(Verdict, QuarantinedSaysWhatIsWrongNow) {
    Scene scene;
    scene.slot.problem =
        fail(Code::failed, "reset 0000:01:10.0", "0000:01:10.0", "it does not answer", "unplug it")
            .error();
    auto verdict = scene.in(SlotState::quarantined);
    EXPECT_EQ(verdict.state, "quarantined");
    EXPECT_THAT(verdict.text, HasSubstr("it does not answer"));
    EXPECT_EQ(verdict.hint, "unplug it");
    auto facts = scene.facts();
    facts.uses = {"eth0 has the address 192.0.2.1/24"};
    EXPECT_EQ(judge(facts).state, "in-use");
    facts.refusal = "no IOMMU";
    EXPECT_EQ(judge(facts).state, "not-viable");
}

TEST(Verdict, StatesOnTheWay) {
    Scene scene;
    scene.slot.problem =
        fail(Code::busy, "scrub 0000:01:10.0", "0000:01:10.0", "open in pid 812 (qemu)").error();
    EXPECT_EQ(scene.in(SlotState::preparing).state, "preparing");
    EXPECT_EQ(scene.in(SlotState::dirty).state, "dirty");
    EXPECT_THAT(scene.in(SlotState::dirty).text, HasSubstr("pid 812"));
    EXPECT_EQ(scene.in(SlotState::stuck).state, "stuck");
    for (const auto state : {SlotState::preparing, SlotState::dirty, SlotState::stuck})
        EXPECT_FALSE(scene.in(state).hint.empty());
}

TEST(Verdict, WhatNoPoolHas) {
    Scene scene;
    VerdictFacts facts{.function = scene.function};
    EXPECT_EQ(judge(facts).state, "no-pool");
    EXPECT_THAT(judge(facts).hint, HasSubstr("0000:01:00.0"));
    facts.refusal = "no IOMMU";
    EXPECT_EQ(judge(facts).state, "not-viable");
    facts.uses = {"the default route leaves by eth0"};
    EXPECT_EQ(judge(facts).state, "in-use");
    // Its pool was taken out of the configuration.
    scene.slot.pool.clear();
    facts.slot = &scene.slot;
    EXPECT_EQ(judge(facts).state, "in-use");
}

TEST(Verdict, KindsThatAreNeverHandedOut) {
    Scene scene;
    scene.function.physfn.reset();
    VerdictFacts facts{.function = scene.function};
    EXPECT_EQ(judge(facts).state, "not-leasable");
    scene.function.sriov = pci::SrIov{.total = 7, .enabled = 2};
    EXPECT_THAT(judge(facts).text, HasSubstr("it has 2 and can have 7"));
    scene.function.sriov->total = 0;
    EXPECT_THAT(judge(facts).hint, HasSubstr("SR-IOV"));
    scene.function.sriov.reset();
    scene.function.header_type = 1;
    EXPECT_THAT(judge(facts).text, HasSubstr("a bridge"));
}

}  // namespace
}  // namespace vfb::daemon
