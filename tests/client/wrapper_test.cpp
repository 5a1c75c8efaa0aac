// SPDX-License-Identifier: GPL-2.0-or-later
//
// The C++ header over the C ABI.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <vfbroker/vfbroker.hpp>

#include "lease_replies.hpp"

namespace vfb {
namespace {

using test::Answer;
using test::FakeBroker;

Answer answer_all(const proto::Call& call) {
    if (call.method == "io.vfbroker.Lease") {
        return call.parameters["pool"] == "full" ? test::refusal() : test::iommufd_lease();
    }
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
