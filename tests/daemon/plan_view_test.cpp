// SPDX-License-Identifier: GPL-2.0-or-later
//
// What is told to whom of a plan.
#include "plan_view.hpp"

#include <gtest/gtest.h>

namespace vfb::daemon {
namespace {

using broker::Caller;

constexpr auto kConfig = R"(
[pf.uplink]
address = "0000:01:00.0"
vfs = 2
[pool.guests]
pf = "uplink"
allow_users = [1000]
)";
const Caller kRoot{.uid = 0, .gids = {0}, .process = {.pid = 10, .start_time = 1}};
const Caller kUser{.uid = 1000, .gids = {1000}, .process = {.pid = 11, .start_time = 2}};
const Caller kOther{.uid = 1001, .gids = {1001}, .process = {.pid = 12, .start_time = 3}};
const vfio::Support kBoth{.iommufd = true, .group = true, .iommufd_reason = {}, .group_reason = {}};

TEST(AddDifferences, GuestAndProcessAreToldToTheLeasesUserAndRoot) {
    auto opened = broker::Broker::open(*broker::Store::open(":memory:"), 8ULL << 30);
    ASSERT_TRUE(opened);
    auto broker = std::move(*opened);
    broker.configure(*broker::parse_config(kConfig, "test.toml"));
    ASSERT_TRUE(broker.locate({"uplink", 0}, *pci::Address::parse("0000:01:10.0"), 20, 0));
    EXPECT_TRUE(broker.mark_clean({"uplink", 0}, {}));
    broker::LeaseRequest request;
    request.pool = "guests";
    request.guest = "web";
    const auto lease = broker.begin(*broker.choose(request, kUser, kBoth), kUser, 1);
    ASSERT_TRUE(lease);
    const std::string in_full = describe(*broker.find_lease(*lease));

    broker::PfPlan pf;
    pf.name = "uplink";
    pf.later = {"uplink/0: is given back to the host when " + in_full + " ends"};
    pf.blocked = {
        fail(Code::busy, "change the number of VFs", "uplink", in_full + " holds it").error()};
    broker::Plan plan;
    plan.pfs = {pf};
    const auto told_to = [&](const Caller& caller) {
        doctor::DaemonFacts facts;
        add_differences(facts, plan, broker, caller);
        return facts.differences.at(0).first + "\n" + facts.differences.at(1).first;
    };
    const std::string all =
        "cannot change the number of VFs: lease 1 (guest web, pid 11) holds it\n"
        "uplink/0: is given back to the host when lease 1 (guest web, pid 11) ends";
    EXPECT_EQ(told_to(kRoot), all);
    EXPECT_EQ(told_to(kUser), all);
    EXPECT_EQ(told_to(kOther),
              "cannot change the number of VFs: lease 1 holds it\n"
              "uplink/0: is given back to the host when lease 1 ends");
}

}  // namespace
}  // namespace vfb::daemon
