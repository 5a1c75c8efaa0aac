// SPDX-License-Identifier: GPL-2.0-or-later
//
// The C ABI for event loops, through the shared library.
#include <gtest/gtest.h>
#include <vfbroker/vfbroker.h>

#include <memory>
#include <string>

#include "lease_events.hpp"
#include "lease_replies.hpp"

namespace vfb {
namespace {

using test::Answer;
using test::FakeBroker;
using test::readable;
using test::states;

constexpr auto kWatch = "io.vfbroker.WatchLeases";

Answer answer(const proto::Call& call) {
    if (call.method == kWatch) return {.body = states({{.lease = 7}}), .descriptors = {}};
    if (call.method != "io.vfbroker.Lease")
        return {.body = proto::make_reply(proto::Json::object()), .descriptors = {}};
    if (call.parameters["pool"] == "full") return test::refusal();
    if (call.parameters["pool"] == "later") return {.body = {}, .descriptors = {}};
    return test::iommufd_lease();
}

class EventLoop : public ::testing::Test {
protected:
    EventLoop() { EXPECT_EQ(vfb_connect(broker.path().c_str(), &connection, nullptr), VFB_OK); }
    ~EventLoop() override {
        vfb_lease_free(lease);
        vfb_close(connection);
    }
    // The result of what was started.
    vfb_code result(vfb_error** error = nullptr) {
        for (;;) {
            const auto code = vfb_lease_result(connection, &lease, error);
            if (code != VFB_PENDING || !readable(vfb_poll_fd(connection))) return code;
            EXPECT_EQ(vfb_dispatch(connection, nullptr), VFB_OK);
        }
    }
    using Event = std::unique_ptr<vfb_event, decltype(&vfb_event_free)>;
    Event next() {
        for (;;) {
            Event event(vfb_next_event(connection), &vfb_event_free);
            if (event || !readable(vfb_poll_fd(connection))) return event;
            EXPECT_EQ(vfb_dispatch(connection, nullptr), VFB_OK);
        }
    }
    void lease_and_watch() {
        ASSERT_EQ(vfb_lease(connection, "net", nullptr, &lease, nullptr), VFB_OK);
        ASSERT_EQ(vfb_watch(connection, vfb_lease_id(lease), vfb_lease_generation(lease), nullptr),
                  VFB_OK);
    }

    FakeBroker broker{answer};
    vfb_connection* connection = nullptr;
    vfb_lease_handle* lease = nullptr;
};

TEST_F(EventLoop, ALeaseWithoutBlocking) {
    EXPECT_FALSE(readable(vfb_poll_fd(connection), 0));
    ASSERT_EQ(vfb_lease_start(connection, "net", nullptr, nullptr), VFB_OK);
    ASSERT_EQ(result(), VFB_OK);
    EXPECT_EQ(vfb_lease_id(lease), 7u);
    EXPECT_GE(vfb_lease_fd(lease, VFB_ROLE_CDEV, 1), 0);
    // Fetched once.
    vfb_lease_handle* again = nullptr;
    EXPECT_EQ(vfb_lease_result(connection, &again, nullptr), VFB_INVALID);
    EXPECT_FALSE(readable(vfb_poll_fd(connection), 0));
}

TEST_F(EventLoop, ARefusalIsTheResultAndTheConnectionGoesOn) {
    ASSERT_EQ(vfb_lease_start(connection, "full", nullptr, nullptr), VFB_OK);
    vfb_error* error = nullptr;
    ASSERT_EQ(result(&error), VFB_BUSY);
    EXPECT_STREQ(vfb_error_message(error), "cannot lease from net: all 7 functions are leased");
    vfb_error_free(error);
    ASSERT_EQ(vfb_lease_start(connection, "net", nullptr, nullptr), VFB_OK);
    EXPECT_EQ(result(), VFB_OK);
}

TEST_F(EventLoop, OneLeaseIsOnItsWayAtATime) {
    ASSERT_EQ(vfb_lease_start(connection, "later", nullptr, nullptr), VFB_OK);
    EXPECT_EQ(vfb_lease_result(connection, &lease, nullptr), VFB_PENDING);
    EXPECT_EQ(vfb_lease_start(connection, "net", nullptr, nullptr), VFB_BUSY);
    EXPECT_EQ(vfb_lease(connection, "net", nullptr, &lease, nullptr), VFB_BUSY);
    EXPECT_EQ(vfb_release_id(connection, 7, 3, nullptr), VFB_BUSY);
    broker.wait_for_calls(1);
    broker.say("io.vfbroker.Lease", test::refusal().body);
    EXPECT_EQ(result(), VFB_BUSY);
    EXPECT_EQ(vfb_release_id(connection, 7, 3, nullptr), VFB_OK);
}

TEST_F(EventLoop, TheEndOfTheBrokerIsSaid) {
    ASSERT_EQ(vfb_lease_start(connection, "later", nullptr, nullptr), VFB_OK);
    broker.wait_for_calls(1);
    broker.hang_up("io.vfbroker.Lease");
    ASSERT_TRUE(readable(vfb_poll_fd(connection)));
    vfb_error* error = nullptr;
    EXPECT_EQ(vfb_dispatch(connection, &error), VFB_LOST);
    EXPECT_STREQ(vfb_error_message(error),
                 "cannot call io.vfbroker.Lease: vfbrokerd closed the connection");
    vfb_error_free(error);
    EXPECT_EQ(vfb_lease_result(connection, &lease, nullptr), VFB_LOST);
    EXPECT_EQ(vfb_dispatch(connection, nullptr), VFB_LOST);
}

TEST_F(EventLoop, EventsOfALease) {
    lease_and_watch();
    broker.wait_for_calls(2);
    broker.say(kWatch, states({{.lost = {"0000:01:10.2"}, .wanted = "pool:net is drained"}}));
    auto event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(vfb_event_type(event.get()), VFB_LEASE_LOST);
    EXPECT_EQ(vfb_event_lease(event.get()), 7u);
    EXPECT_EQ(vfb_event_generation(event.get()), 3u);
    EXPECT_STREQ(vfb_event_address(event.get()), "0000:01:10.2");
    EXPECT_STREQ(vfb_event_reason(event.get()), "");
    event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(vfb_event_type(event.get()), VFB_LEASE_WANTED);
    EXPECT_EQ(vfb_event_address(event.get()), nullptr);
    EXPECT_STREQ(vfb_event_reason(event.get()), "pool:net is drained");
    broker.say(kWatch, states({{.lost = {"0000:01:10.2"}}}));
    event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(vfb_event_type(event.get()), VFB_LEASE_UNWANTED);
    broker.say(kWatch, states({{.ended = "released by uid 0"}}, false));
    event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(vfb_event_type(event.get()), VFB_LEASE_ENDED);
    EXPECT_STREQ(vfb_event_reason(event.get()), "released by uid 0");
    EXPECT_EQ(broker.connections(1), 1u);
    EXPECT_FALSE(readable(vfb_poll_fd(connection), 0));
}

TEST_F(EventLoop, EventsGoOnWhenTheBrokerIsStartedAgain) {
    lease_and_watch();
    broker.wait_for_calls(2);
    broker.hang_up(kWatch);
    // The end of that connection, the timer, and the first answer over the next one.
    while (broker.calls().size() < 3) {
        ASSERT_TRUE(readable(vfb_poll_fd(connection)));
        ASSERT_EQ(vfb_dispatch(connection, nullptr), VFB_OK);
    }
    broker.say(kWatch, states({{.lost = {"0000:01:10.0"}}}));
    const auto event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(vfb_event_type(event.get()), VFB_LEASE_LOST);
}

TEST_F(EventLoop, WhatIsReleasedHereIsNoEvent) {
    lease_and_watch();
    broker.wait_for_calls(2);
    broker.say(kWatch, states({{.wanted = "pool:net is drained"}}));
    ASSERT_EQ(vfb_release(connection, lease, nullptr), VFB_OK);
    lease = nullptr;
    EXPECT_EQ(broker.connections(1), 1u);
    EXPECT_EQ(vfb_next_event(connection), nullptr);
    EXPECT_FALSE(readable(vfb_poll_fd(connection), 0));
}

TEST_F(EventLoop, ALeaseIsStartedWhileAnotherIsWatched) {
    lease_and_watch();
    ASSERT_EQ(vfb_lease_start(connection, "later", nullptr, nullptr), VFB_OK);
    broker.wait_for_calls(3);
    broker.say(kWatch, states({{.wanted = "pool:net is drained"}}));
    EXPECT_TRUE(next());
    EXPECT_EQ(vfb_lease_result(connection, &lease, nullptr), VFB_PENDING);
}

TEST_F(EventLoop, IdsThatAreNone) {
    EXPECT_EQ(vfb_watch(connection, UINT64_MAX, 1, nullptr), VFB_NOT_FOUND);
    vfb_event_free(nullptr);
}

}  // namespace
}  // namespace vfb
