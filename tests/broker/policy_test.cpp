// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfb::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Config with(const std::string& settings) {
    auto config = parse_config(
        "[pf.uplink]\naddress = \"0000:01:00.0\"\nvfs = 3\n[pool.guests]\npf = \"uplink\"\n" +
            settings,
        "test.toml");
    EXPECT_TRUE(config) << config.error().message();
    return *config;
}

std::vector<std::string> between(const Config& in_force, const Config& wanted) {
    std::vector<std::string> texts;
    for (const Change& change : policy_changes(in_force, wanted)) {
        EXPECT_EQ(change.subject, "guests");
        EXPECT_EQ(change.action, Change::Action::change);
        texts.push_back(change.text);
    }
    return texts;
}

TEST(Policy, TheSameIsNoChange) {
    EXPECT_THAT(between(with(""), with("")), IsEmpty());
    // What it is by default, written down.
    EXPECT_THAT(between(with(""), with("backend = \"auto\"\ndrift = \"report\"\n")), IsEmpty());
}

TEST(Policy, EveryKeyIsListedWithBothValues) {
    const auto wanted = with(R"(
allow_users = [1001, 1000]
allow_groups = [7]
tenant_may_set = ["mac", "vlan"]
max_functions_per_user = 2
memlock_max = "8GiB"
backend = "group"
reset = "if-available"
drift = "repair"
[pool.guests.tenant_limits]
vlan = ["100-199", 300]
)");
    EXPECT_THAT(
        between(with(""), wanted),
        ElementsAre("allow_users none -> 1000, 1001", "allow_groups none -> 7",
                    "tenant_may_set mac, vlan, qos, vlan_protocol, max_tx_rate -> mac, vlan",
                    "tenant_limits none -> vlan 100-199, 300", "max_functions_per_user none -> 2",
                    "memlock_max the machine's memory -> 8 GiB", "backend auto -> group",
                    "reset required -> if-available", "drift report -> repair"));
    EXPECT_EQ(between(wanted, with("")).size(), 9U);
}

TEST(Policy, OfAPoolThatComesOrGoesNothingIsSaid) {
    EXPECT_THAT(between({}, with("allow_users = [1000]\n")), IsEmpty());
    EXPECT_THAT(between(with("allow_users = [1000]\n"), {}), IsEmpty());
}

}  // namespace
}  // namespace vfb::broker
