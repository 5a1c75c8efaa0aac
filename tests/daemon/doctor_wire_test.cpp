// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor_wire.hpp"

#include <gtest/gtest.h>

namespace vfb::daemon {
namespace {

TEST(DoctorWire, WhatTheDaemonTellsItsWorkerArrives) {
    doctor::DaemonFacts facts;
    facts.pid = 12;
    facts.version = "1.0";
    facts.pfs = {{.name = "uplink",
                  .address = pci::Address::parse("0000:01:00.0").value(),
                  .state = "ready",
                  .wanted = 4,
                  .present = 3,
                  .problem = "it has 3 VFs",
                  .hint = "make room"},
                 {.name = "gone", .address = std::nullopt, .state = "missing"}};
    facts.counts = {{"clean", 2}, {"stuck", 1}};
    facts.troubled = {
        {.subject = "0000:01:10.0", .state = "stuck", .problem = "no answer", .hint = "reboot"}};
    facts.differences = {
        {.subject = "uplink", .count = 2, .first = "uplink/0: vlan 0 -> 7", .later = true}};
    facts.config_faults = {{.place = "x.toml:1:1", .text = "no key", .hint = "none"}};
    facts.config_in_force = "the last one";
    facts.no_plan = "cannot read it";
    facts.no_plan_hint = "mend it";
    const auto read = daemon_facts_from_json(proto::Json::parse(to_json(facts).dump())).value();
    EXPECT_EQ(read.pid, 12);
    EXPECT_EQ(read.version, "1.0");
    ASSERT_EQ(read.pfs.size(), 2U);
    EXPECT_EQ(read.pfs[0].address, facts.pfs[0].address);
    EXPECT_EQ(read.pfs[0].wanted, 4U);
    EXPECT_EQ(read.pfs[0].present, 3U);
    EXPECT_EQ(read.pfs[0].problem, "it has 3 VFs");
    EXPECT_EQ(read.pfs[0].hint, "make room");
    EXPECT_FALSE(read.pfs[1].address);
    EXPECT_EQ(read.pfs[1].state, "missing");
    EXPECT_EQ(read.counts, facts.counts);
    ASSERT_EQ(read.troubled.size(), 1U);
    EXPECT_EQ(read.troubled[0].subject, "0000:01:10.0");
    EXPECT_EQ(read.troubled[0].hint, "reboot");
    ASSERT_EQ(read.differences.size(), 1U);
    EXPECT_EQ(read.differences[0].subject, "uplink");
    EXPECT_EQ(read.differences[0].count, 2U);
    EXPECT_EQ(read.differences[0].first, "uplink/0: vlan 0 -> 7");
    EXPECT_TRUE(read.differences[0].later);
    ASSERT_EQ(read.config_faults.size(), 1U);
    EXPECT_EQ(read.config_faults[0].place, "x.toml:1:1");
    EXPECT_EQ(read.config_faults[0].text, "no key");
    EXPECT_EQ(read.config_faults[0].hint, "none");
    EXPECT_EQ(read.config_in_force, "the last one");
    EXPECT_EQ(read.no_plan, "cannot read it");
    EXPECT_EQ(read.no_plan_hint, "mend it");
}

TEST(DoctorWire, AnAddressThatIsNoneIsRefused) {
    doctor::DaemonFacts facts;
    facts.pfs = {{.name = "uplink", .address = pci::Address{}}};
    auto json = to_json(facts);
    json["pfs"][0]["address"] = "nonsense";
    EXPECT_FALSE(daemon_facts_from_json(json));
}

}  // namespace
}  // namespace vfb::daemon
