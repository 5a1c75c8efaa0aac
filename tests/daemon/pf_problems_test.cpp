// SPDX-License-Identifier: GPL-2.0-or-later
#include "pf_problems.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfb::daemon {
namespace {

const auto kPlace = *pci::Address::parse("0000:01:00.0");

std::map<std::string, PfStatus> uplink(PfStatus::State state, const std::string& why) {
    PfStatus status;
    status.state = state;
    status.address = kPlace;
    status.problem = fail(Code::failed, "read the switch mode of uplink", "uplink", why).error();
    return {{"uplink", status}};
}

broker::Plan plan_with(const std::string& change, const std::string& blocked = "") {
    broker::Plan plan;
    broker::PfPlan& pf = plan.pfs.emplace_back();
    pf.name = "uplink";
    pf.changes.emplace_back().text = change;
    if (!blocked.empty())
        pf.blocked = {fail(Code::busy, "remove its VFs", "uplink", blocked).error()};
    return plan;
}

TEST(PfProblems, OnlyTheProblemIsSaidOfOneThatIsStuck) {
    auto plan = plan_with("create 4 VFs", "lease 1 holds one");
    put_off_stuck(plan, uplink(PfStatus::State::stuck, "the kernel has not come back"));
    ASSERT_EQ(plan.pfs.size(), 1U);
    EXPECT_EQ(plan.pfs[0].name, "uplink");
    EXPECT_EQ(plan.pfs[0].address, kPlace);
    EXPECT_TRUE(plan.pfs[0].changes.empty());
    ASSERT_EQ(plan.pfs[0].blocked.size(), 1U);
    EXPECT_EQ(plan.pfs[0].blocked[0].message(),
              "cannot read the switch mode of uplink: the kernel has not come back");
}

TEST(PfProblems, OneThatFailedIsToldThoughNothingIsToBeDone) {
    broker::Plan plan;
    add_failed(plan, uplink(PfStatus::State::failed, "it has none"));
    ASSERT_EQ(plan.pfs.size(), 1U);
    EXPECT_EQ(plan.pfs[0].name, "uplink");
    ASSERT_NE(plan.blocked(), nullptr);
    EXPECT_EQ(plan.blocked()->message(), "cannot read the switch mode of uplink: it has none");
}

TEST(PfProblems, WhatIsToBeDoneStaysAndWhatIsInTheWayIsSaidOnce) {
    auto plan = plan_with("create 4 VFs");
    add_failed(plan, uplink(PfStatus::State::failed, "it has none"));
    ASSERT_EQ(plan.pfs.size(), 1U);
    EXPECT_EQ(plan.pfs[0].changes.size(), 1U);
    EXPECT_EQ(plan.pfs[0].blocked.size(), 1U);

    auto blocked = plan_with("create 4 VFs", "lease 1 holds one");
    add_failed(blocked, uplink(PfStatus::State::failed, "it has none"));
    ASSERT_EQ(blocked.pfs[0].blocked.size(), 1U);
    EXPECT_THAT(blocked.pfs[0].blocked[0].message(), testing::HasSubstr("lease 1"));
}

TEST(PfProblems, NothingIsSaidOfOneThatIsReady) {
    broker::Plan plan;
    const auto ready = uplink(PfStatus::State::ready, "it differs");
    put_off_stuck(plan, ready);
    add_failed(plan, ready);
    EXPECT_TRUE(plan.empty());
}

}  // namespace
}  // namespace vfb::daemon
