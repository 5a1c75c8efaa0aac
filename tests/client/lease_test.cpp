// SPDX-License-Identifier: GPL-2.0-or-later
//
// Requests and leases as values.
#include "client/lease.hpp"

#include <gtest/gtest.h>

#include "lease_replies.hpp"

namespace vfb::client {
namespace {

using proto::Json;

Reply reply_of(test::Answer answer) {
    return {.parameters = answer.body["parameters"], .descriptors = std::move(answer.descriptors)};
}

TEST(LeaseRequest, OnlyWhatWasSaidIsSent) {
    LeaseRequest request;
    request.pool = "net";
    EXPECT_EQ(to_json(request).dump(), R"({"pool":"net"})");
    request.count = 2;
    request.attributes.vlan = 0;
    request.attributes.trust = false;
    request.attributes.vlan_protocol = "802.1ad";
    request.attributes.rss_query = true;
    request.attributes.port_guid = "02:00:00:00:00:00:00:01";
    request.hand_off = "node";
    request.wait_seconds = 5;
    EXPECT_EQ(
        to_json(request).dump(),
        R"({"pool":"net","count":2,"attributes":{"vlan":0,"vlanProtocol":"802.1ad",)"
        R"("trust":false,"rssQuery":true,"portGuid":"02:00:00:00:00:00:00:01"},"handOff":"node","waitSeconds":5})");
}

TEST(Lease, Iommufd) {
    const auto lease = read_lease(reply_of(test::iommufd_lease()));
    ASSERT_TRUE(lease) << lease.error().message();
    EXPECT_EQ(lease->id, 7);
    EXPECT_EQ(lease->generation(), 3);
    EXPECT_EQ(lease->backend, "iommufd");
    ASSERT_EQ(lease->functions.size(), 2u);
    EXPECT_EQ(lease->functions[1].address, "0000:01:10.2");
    EXPECT_TRUE(lease->functions[1].descriptor);
    EXPECT_TRUE(lease->context);
    EXPECT_TRUE(lease->groups.empty());
}

TEST(Lease, Group) {
    const auto lease = read_lease(reply_of(test::group_lease()));
    ASSERT_TRUE(lease) << lease.error().message();
    EXPECT_EQ(lease->groups.size(), 1u);
    EXPECT_TRUE(lease->context);
    EXPECT_TRUE(lease->functions[0].descriptor);
}

TEST(Lease, Node) {
    const auto lease = read_lease(reply_of(test::node_lease()));
    ASSERT_TRUE(lease) << lease.error().message();
    EXPECT_EQ(lease->functions[0].node, "/dev/vfio/14");
    EXPECT_FALSE(lease->context);
}

TEST(Lease, AnswersThatCannotBeTrusted) {
    const auto broken = [](const char* pointer, const Json& value) {
        auto answer = test::iommufd_lease();
        answer.body["parameters"]["lease"][Json::json_pointer(pointer)] = value;
        return read_lease(reply_of(std::move(answer)));
    };
    ASSERT_TRUE(broken("/id", 7));
    EXPECT_FALSE(broken("/id", "7"));
    EXPECT_FALSE(broken("/pool", nullptr));
    EXPECT_FALSE(broken("/functions", Json::array()));
    EXPECT_FALSE(broken("/functions", {1}));
    EXPECT_FALSE(broken("/functions/0/address", 1));
    EXPECT_FALSE(broken("/functions/0/generation", 1.5));
    EXPECT_FALSE(broken("/functions/0/descriptor", 3));
    EXPECT_FALSE(broken("/functions/0/descriptor", -1));
    EXPECT_FALSE(broken("/functions/0/descriptor", 2));
    EXPECT_FALSE(broken("/functions/0/descriptor", nullptr));
    EXPECT_FALSE(broken("/contextDescriptor", nullptr));
    EXPECT_FALSE(broken("/groupDescriptors", {0}));
    EXPECT_FALSE(read_lease({.parameters = Json::object(), .descriptors = {}}));
    const auto twice = broken("/functions/0/descriptor", 0);
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code, Code::protocol);
}

}  // namespace
}  // namespace vfb::client
