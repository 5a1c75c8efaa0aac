// SPDX-License-Identifier: GPL-2.0-or-later
//
// LeaseWatch: events made of states, over the ends of connections.
#include "client/lease_watch.hpp"

#include <gtest/gtest.h>

#include <mutex>

#include "fake_broker.hpp"
#include "lease_events.hpp"

namespace vfb::client {
namespace {

using test::Answer;
using test::FakeBroker;
using test::readable;
using test::State;
using test::states;
using Type = LeaseEvent::Type;

constexpr auto kMethod = "io.vfbroker.WatchLeases";

class Watching : public ::testing::Test {
protected:
    Watching() : broker([this](const proto::Call&) { return first_answer(); }) {}

    // The broker's thread asks, the test's says.
    Answer first_answer() {
        const std::lock_guard lock(mutex);
        return {.body = first, .descriptors = {}};
    }
    void answer_first(proto::Json body) {
        const std::lock_guard lock(mutex);
        first = std::move(body);
    }
    // What the broker says, read.
    std::optional<LeaseEvent> next() {
        for (;;) {
            if (auto event = watch.next()) return event;
            const int fd = watch.fd() >= 0 ? watch.fd() : watch.retry_timer();
            if (fd < 0 || !readable(fd)) return std::nullopt;
            if (!watch.dispatch()) return std::nullopt;
        }
    }

    std::mutex mutex;
    proto::Json first = states({{.lease = 7}});
    FakeBroker broker;
    LeaseWatch watch{broker.path()};
};

TEST_F(Watching, TellsWhatHappensOnce) {
    ASSERT_TRUE(watch.add(7, 3));
    broker.wait_for_calls(1);
    broker.say(kMethod, states({{.lost = {"0000:01:10.0"}}}));
    auto event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->type, Type::lost);
    EXPECT_EQ(event->lease, 7);
    EXPECT_EQ(event->generation, 3);
    EXPECT_EQ(event->function, "0000:01:10.0");
    EXPECT_EQ(broker.calls().at(0).parameters.dump(), R"({"leases":[{"lease":7,"generation":3}]})");
    EXPECT_TRUE(broker.calls().at(0).more);
    broker.say(kMethod, states({{.lost = {"0000:01:10.0"}, .wanted = "pf:uplink is drained"}}));
    event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->type, Type::wanted);
    EXPECT_EQ(event->reason, "pf:uplink is drained");
    broker.say(kMethod, states({{.lost = {"0000:01:10.0", "0000:01:10.2"}}}));
    ASSERT_TRUE(event = next());
    EXPECT_EQ(event->function, "0000:01:10.2");
    ASSERT_TRUE(event = next());
    EXPECT_EQ(event->type, Type::unwanted);
    broker.say(kMethod, states({{.ended = "released by uid 0"}}, false));
    ASSERT_TRUE(event = next());
    EXPECT_EQ(event->type, Type::ended);
    EXPECT_EQ(event->reason, "released by uid 0");
    EXPECT_EQ(watch.fd(), -1);
    EXPECT_EQ(broker.connections(0), 0u);
}

TEST_F(Watching, WhatHasHappenedBeforeIsTold) {
    answer_first(states({{.ended = "there is no such lease of yours"}}, false));
    ASSERT_TRUE(watch.add(7, 3));
    const auto event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->type, Type::ended);
}

TEST_F(Watching, ASecondLeaseIsWatchedWithTheFirst) {
    ASSERT_TRUE(watch.add(7, 3));
    ASSERT_TRUE(watch.add(9, 1));
    broker.wait_for_calls(2);
    broker.say(kMethod, states({{.lease = 7}, {.lease = 9, .lost = {"0000:01:10.0"}}}));
    const auto event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->lease, 9);
    EXPECT_EQ(broker.calls().back().parameters.dump(),
              R"({"leases":[{"lease":7,"generation":3},{"lease":9,"generation":1}]})");
    EXPECT_EQ(broker.connections(1), 1u);
}

TEST_F(Watching, GoesOnAfterTheConnectionEndsAndTellsNothingTwice) {
    answer_first(states({{.wanted = "pf:uplink is drained"}}));
    ASSERT_TRUE(watch.add(7, 3));
    auto event = next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->type, Type::wanted);
    broker.hang_up(kMethod);
    // Read the end, then try again when the timer says so.
    ASSERT_TRUE(readable(watch.fd()));
    ASSERT_TRUE(watch.dispatch());
    EXPECT_EQ(watch.fd(), -1);
    ASSERT_TRUE(readable(watch.retry_timer()));
    ASSERT_TRUE(watch.dispatch());
    EXPECT_GE(watch.fd(), 0);
    EXPECT_EQ(watch.retry_timer(), -1);
    broker.wait_for_calls(2);
    broker.say(kMethod, states({{.ended = "its process has ended"}}, false));
    ASSERT_TRUE(event = next());
    EXPECT_EQ(event->type, Type::ended);
}

TEST_F(Watching, RemovedIsSilent) {
    answer_first(states({{.wanted = "pf:uplink is drained"}}));
    ASSERT_TRUE(watch.add(7, 3));
    ASSERT_TRUE(readable(watch.fd()));
    ASSERT_TRUE(watch.dispatch());
    watch.remove(7);
    EXPECT_FALSE(watch.next());
    EXPECT_EQ(broker.connections(0), 0u);
}

TEST_F(Watching, ABrokerThatCannotSaysSoOnce) {
    answer_first(proto::make_error("org.varlink.service.MethodNotFound", {{"method", kMethod}}));
    ASSERT_TRUE(watch.add(7, 3));
    ASSERT_TRUE(readable(watch.fd()));
    const auto failed = watch.dispatch();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::unsupported);
    EXPECT_EQ(watch.fd(), -1);
    EXPECT_TRUE(watch.dispatch());
}

TEST_F(Watching, AnAnswerThatIsNoneIsRefused) {
    answer_first(proto::make_reply({{"leases", {{{"lease", 7}, {"lost", 5}}}}}, true));
    ASSERT_TRUE(watch.add(7, 3));
    ASSERT_TRUE(readable(watch.fd()));
    const auto failed = watch.dispatch();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::protocol);
}

TEST(WatchingNobody, IsSaidAtOnce) {
    LeaseWatch watch("/nowhere/socket");
    const auto failed = watch.add(7, 3);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::not_running);
    EXPECT_EQ(watch.retry_timer(), -1);
}

}  // namespace
}  // namespace vfb::client
