// SPDX-License-Identifier: GPL-2.0-or-later
//
// The C++ header over the C ABI.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <vfbroker/vfbroker.hpp>

#include "lease_events.hpp"
#include "lease_replies.hpp"

namespace vfb {
namespace {

using test::Answer;
using test::FakeBroker;

Answer answer_all(const proto::Call& call) {
    if (call.method == "io.vfbroker.Lease") {
        return call.parameters["pool"] == "full" ? test::refusal() : test::iommufd_lease();
    }
    if (call.method == "io.vfbroker.WatchLeases")
        return {.body = test::states({{.lease = 7}}), .descriptors = {}};
    return {.body = proto::make_reply(proto::Json::object()), .descriptors = {}};
}

TEST(Wrapper, LeasesAndReleases) {
    FakeBroker broker(answer_all);
    vfbroker::Connection connection(broker.path());
    EXPECT_GE(connection.fd(), 0);
    vfbroker::Options options;
    options->vlan = 5;
    auto lease = connection.lease("net", options);
    EXPECT_EQ(broker.calls().back().parameters["attributes"]["vlan"], 5);
    EXPECT_EQ(lease.id(), 7u);
    EXPECT_EQ(lease.count(), 2u);
    EXPECT_STREQ(lease.address(0), "0000:01:10.0");
    const int fd = lease.fd(VFB_ROLE_IOMMUFD);
    EXPECT_GE(fd, 0);
    connection.release(lease);
    EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
    EXPECT_EQ(broker.calls().back().method, "io.vfbroker.Release");
}

TEST(Wrapper, DescriptorsTransferAndKeep) {
    FakeBroker broker(answer_all);
    vfbroker::Connection connection(broker.path());
    auto lease = connection.lease("net");
    const auto descriptors = lease.descriptors();
    ASSERT_EQ(descriptors.size(), 3u);
    EXPECT_EQ(descriptors[0].role, VFB_ROLE_IOMMUFD);
    EXPECT_EQ(descriptors[0].address, nullptr);
    EXPECT_EQ(descriptors[2].role, VFB_ROLE_CDEV);
    EXPECT_STREQ(descriptors[2].address, "0000:01:10.2");
    EXPECT_EQ(descriptors[2].fd, lease.fd(VFB_ROLE_CDEV, 1));
    EXPECT_EQ(lease.netdev(0), nullptr);
    connection.transfer(lease);
    EXPECT_EQ(broker.calls().back().method, "io.vfbroker.Transfer");
    connection.keep(lease);
    EXPECT_EQ(broker.calls().back().method, "io.vfbroker.Keep");
    EXPECT_THROW(connection.transfer(lease, STDIN_FILENO), vfbroker::Error);
}

TEST(Wrapper, WithoutBlocking) {
    FakeBroker broker(answer_all);
    vfbroker::Connection connection(broker.path());
    connection.start_lease("net");
    auto lease = connection.lease_result();
    while (!lease && test::readable(connection.poll_fd())) {
        connection.dispatch();
        lease = connection.lease_result();
    }
    ASSERT_TRUE(lease);
    EXPECT_FALSE(connection.next_event());
    connection.watch(*lease);
    broker.wait_for_calls(2);
    broker.say("io.vfbroker.WatchLeases",
               test::states({{.ended = "its process has ended"}}, false));
    auto event = connection.next_event();
    while (!event && test::readable(connection.poll_fd())) {
        connection.dispatch();
        event = connection.next_event();
    }
    ASSERT_TRUE(event);
    EXPECT_EQ(event->type(), VFB_LEASE_ENDED);
    EXPECT_EQ(event->lease(), lease->id());
    EXPECT_EQ(event->generation(), lease->generation());
    EXPECT_EQ(event->address(), nullptr);
    EXPECT_STREQ(event->reason(), "its process has ended");
    connection.start_lease("full");
    EXPECT_THROW(
        while (test::readable(connection.poll_fd())) {
            connection.dispatch();
            static_cast<void>(connection.lease_result());
        },
        vfbroker::Error);
}

TEST(Wrapper, ThrowsWhatTheBrokerSays) {
    FakeBroker broker(answer_all);
    vfbroker::Connection connection(broker.path());
    try {
        static_cast<void>(connection.lease("full"));
        FAIL();
    } catch (const vfbroker::Error& error) {
        EXPECT_EQ(error.code(), VFB_BUSY);
        EXPECT_STREQ(error.what(), "cannot lease from net: all 7 functions are leased");
        EXPECT_EQ(error.hint(), "vfbroker leases");
    }
}

TEST(Wrapper, ThrowsWhenNobodyIsThere) {
    EXPECT_THROW(vfbroker::Connection("/nowhere/socket"), vfbroker::Error);
}

}  // namespace
}  // namespace vfb
